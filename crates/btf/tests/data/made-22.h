struct RED;

typedef struct RED *sk;

struct b {
	void *b;
	void *b;
	struct RED *x_t;
	void *inode;
	sk inode;
};

struct RED {
	struct b RED;
	sk a;
};

struct node {
	sk list;
	struct RED *b;
};

struct y_t {
	void * __attribute__((btf_type_tag("rcu"))) b;
	struct RED RED;
	sk b;
	void * __attribute__((btf_type_tag("rcu"))) node;
};

union inode;

union a {
	int RED;
	struct RED a;
};

struct x_t {
	long: 64;
	long: 64;
	struct y_t list;
	void *list;
	void * __attribute__((btf_type_tag("rcu"))) a;
};

struct RED___2 {
	struct x_t sk;
	void * __attribute__((btf_type_tag("rcu"))) node;
	int inode: 29;
};

enum {
	RED = 8388607,
};

struct inode;

enum a___2 {
	x_t = -1437376378,
	b = 4096,
} __attribute__((mode(byte)));

struct sk {
	float sk;
	enum a___2 x_t;
};

enum y_t;

struct sk;


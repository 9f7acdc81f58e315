struct node {};

typedef double a;

enum b {
	b = 0,
	a___2 = -2147483648,
};

typedef a inode;

struct a {
	short: 16;
	enum b x_t: 9;
	double a;
	struct node *x_t;
	struct node *b;
} __attribute__((packed));

typedef struct a *list;

typedef struct node *RED;

enum sk {
	list___2 = 16384LL,
	node = -1LL,
	node___2 = 281474976710656LL,
};

union b___2 {
	RED sk;
	a x_t;
	a y_t;
	RED RED;
	RED sk;
};

typedef struct node b___2;

enum RED;

struct x_t {};

struct inode {};

enum {
	inode___2 = 4294967295,
	node___3 = 134217727,
};

enum x_t;

struct a___2 {};

typedef struct node __attribute__((btf_type_tag("user"))) list___3;

struct list {
	struct {
		double a;
	} b;
	char: 6;
	enum sk __attribute__((btf_type_tag("user"))) list: 52;
	struct a *x_t;
};

struct inode___2 {
	enum sk __attribute__((btf_type_tag("user"))) inode: 32;
	double RED;
	char: 3;
	long x_t: 38;
};


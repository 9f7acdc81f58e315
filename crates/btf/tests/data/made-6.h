struct node {
	int: 24;
};

union x_t {
	struct node sk;
	struct node list;
	struct node sk;
	const void *b;
	const void *a;
};

union a {};

typedef union x_t y_t;

struct inode {
	const void __attribute__((btf_type_tag("user"))) *sk;
	enum {
		inode = 0,
		x_t = 1528736130,
		y_t___2 = -1,
	} RED;
	long: 0;
	y_t a;
	enum {
		y_t___3 = 64ULL,
	} __attribute__((mode(word))) inode;
	long: 64;
	long: 56;
} __attribute__((packed));

struct b {
	enum {
		inode___2 = 0,
		x_t___2 = 1528736130,
		y_t___4 = -1,
	} a;
	const void *x_t;
	long: 64;
	long: 64;
	long: 64;
	long: 64;
	long: 64;
	enum {
		y_t___5 = 64ULL,
	} __attribute__((mode(word))) b;
	enum {
		y_t___6 = 64ULL,
	} __attribute__((mode(word))) RED;
	enum {
		y_t___7 = 64ULL,
	} __attribute__((mode(word))) x_t;
};

typedef const void __attribute__((btf_type_tag("user"))) *sk;

struct RED {};

struct b___2 {
	enum {
		y_t___8 = 64ULL,
	} __attribute__((mode(word))) inode;
};

struct RED___2 {
	long: 64;
	long: 64;
	long: 64;
	long: 64;
	long: 40;
	struct {} *sk;
	long: 0;
	long double a;
	long: 64;
	long: 64;
	struct node;
	int: 0;
	float sk;
	long: 64;
	struct b RED;
	long: 64;
	long: 64;
	long: 64;
	long: 64;
} __attribute__((packed));

union list {
	struct node b;
	const enum {
		inode___3 = 0,
		x_t___3 = 1528736130,
		y_t___9 = -1,
	} b;
	const void *node;
	enum {
		y_t___10 = 64ULL,
	} __attribute__((mode(word))) inode;
	struct inode b;
};


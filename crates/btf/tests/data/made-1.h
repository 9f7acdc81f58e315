struct list {};

struct sk {
	union {
		__int128 list;
		__int128 x_t;
		__int128 RED;
		__int128 a;
		__int128 b;
	} x_t;
};

struct sk___2 {
	struct sk a;
	long: 64;
	long: 64;
	long: 56;
	__int128 y_t[5];
} __attribute__((packed));

struct b {
	__int128 *sk;
	long: 64;
	char: 8;
	union {
		__int128 list;
		__int128 x_t;
		__int128 RED;
		__int128 a;
		__int128 b;
	} x_t;
	__int128 b: 45;
	long: 0;
	__int128 a;
} __attribute__((packed));

struct list___2 {
	union {
		__int128 list;
		__int128 x_t;
		__int128 RED;
		__int128 a;
		__int128 b;
	};
	union {
		__int128 list;
		__int128 x_t;
		__int128 RED;
		__int128 a;
		__int128 b;
	} b;
	struct b b;
	long: 64;
	int: 24;
	union {
		__int128 list;
		__int128 x_t;
		__int128 RED;
		__int128 a;
		__int128 b;
	} sk;
	long: 0;
} __attribute__((packed));

typedef __int128 inode;

struct y_t {
	union {
		__int128 a: 83;
		inode y_t;
		__int128 sk[5];
	} sk;
	long: 64;
	long: 64;
	long: 64;
	long: 64;
};

struct b___2 {
	union {
		__int128 a: 83;
		inode y_t;
		__int128 sk[5];
	} a;
	struct sk sk;
	long: 64;
	long: 64;
	long: 64;
	long: 64;
	short: 16;
	struct sk___2 sk;
	struct y_t y_t;
	short RED;
};

struct list___3 {
	union {
		__int128 list;
		__int128 x_t;
		__int128 RED;
		__int128 a;
		__int128 b;
	} b;
};

union list___4 {
	__int128 sk[5];
	struct sk b;
	struct list___2;
	struct b___2 * restrict sk;
};

struct x_t {
	struct sk___2;
	long: 64;
	long: 64;
	long: 64;
	long: 64;
	inode *RED;
	inode x_t: 9;
	struct y_t list;
	struct sk a;
};

struct b___3 {
	struct {
		__int128 a: 59;
		struct sk___2 list;
		__int128 y_t[5];
		__int128 RED[5];
		struct b inode;
		long: 0;
	} __attribute__((packed));
	struct b___2 * restrict inode;
	__int128 *list;
	long: 64;
	long: 64;
	long: 64;
	long: 64;
	struct sk x_t;
};

union a;

struct list___5 {
	__int128 node;
	struct y_t node;
};

struct sk___3 {
	struct b___2 *a;
	struct sk RED;
	struct y_t y_t;
	union a *b;
};


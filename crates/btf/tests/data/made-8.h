struct b {};

struct node {
	char: 8;
};

union sk;

struct y_t {
	struct node a;
	struct node inode;
	struct node RED;
};

typedef struct node a;

typedef struct b x_t;

struct a;

struct y_t___2 {
	struct a *y_t;
	struct a *y_t;
	struct node a;
	struct y_t RED;
};

struct a___2 {
	a *node;
	struct y_t___2 RED;
	struct a *b;
	long: 64;
	long: 64;
	long: 64;
	long: 48;
	struct node sk;
	long: 64;
	long: 64;
	char: 8;
	a b;
};

typedef void inode;

struct a {
	a inode;
	struct y_t inode;
};

struct list {
	struct y_t list;
};

enum RED;

struct RED___2 {
	enum RED sk;
	a *list;
	__int128 RED;
	__int128 b;
};

typedef union sk node;

union a___3 {
	struct a *b[5];
	struct a___2 a;
};

enum y_t___3 {
	x_t___2 = 1048575,
	list = -1,
	a___2 = 572261428,
};

enum node___2 {
	node___2 = 4294967295,
};

union sk;

union b___2 {
	enum y_t___3 inode;
	struct a___2 inode;
	short inode;
	struct a___2 sk;
	union a___3 sk;
};

struct list___2 {
	enum node___2 a;
	__int128 *RED;
	_Bool RED;
	long: 64;
	long: 64;
	long: 64;
	long: 64;
	long: 64;
};


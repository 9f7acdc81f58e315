struct s0 {
	long m0: 10;
	char m1: 1;
};

struct s1 {
	long: 36;
	short m0: 14;
};

struct s2 {
	short: 14;
	char m0: 7;
	char: 3;
	char: 6;
	char m1: 3;
	unsigned int m2: 20;
	long: 11;
	int: 24;
	short m3: 7;
	int: 1;
	char m4: 4;
	long: 64;
	long: 64;
	long: 40;
} __attribute__((packed));

struct s3 {
	long m0: 32;
	short m1: 10;
	long: 0;
	short: 16;
	int m2;
	char m3: 3;
	long: 0;
	short m4;
} __attribute__((packed));

struct s4 {
	long: 64;
	int: 24;
	int m0;
	long: 0;
	unsigned int m1;
	long: 0;
	short: 16;
	long m2;
	int: 0;
	int m3;
	long: 64;
	long: 64;
	long: 48;
	char m4;
	int: 32;
} __attribute__((packed));

struct s5 {
	int m0;
	long: 64;
	short: 16;
	int m1;
	int: 24;
	int m2;
	long: 64;
	long: 64;
	long: 64;
	long m3;
	long: 64;
} __attribute__((packed));

struct s6 {
	long m0: 58;
	int m1;
	unsigned int m2: 27;
	long: 40;
	long m3;
	long: 64;
} __attribute__((packed));

struct s7 {
	int: 26;
	unsigned int m0: 19;
	long: 19;
	unsigned int m1: 21;
	unsigned int m2;
	int: 25;
	char m3: 7;
	long: 64;
};

struct s8 {
	char m0;
	int: 0;
	short: 12;
	char m1: 1;
	long: 0;
};

struct s9 {
	long: 48;
	char m0;
	long: 64;
	long: 64;
	int: 32;
	unsigned int m1;
	int m2;
	int: 24;
	unsigned int m3;
	char m4;
	char: 8;
} __attribute__((packed));

struct s10 {
	char m0: 6;
	long: 0;
	long m1;
	short m2;
	long: 0;
	int: 32;
} __attribute__((packed));

struct s11 {
	int m0;
	char m1;
	long: 0;
	int m2;
	long: 0;
	int: 24;
	short m3;
	long: 0;
	unsigned int m4;
	long: 0;
	int: 32;
} __attribute__((packed));

struct s12 {
	short m0;
	char: 1;
	short m1: 16;
	long: 64;
	long: 64;
	long: 40;
} __attribute__((packed));

struct s13 {
	short m0: 12;
	long: 0;
	int: 24;
	int m1;
	int: 22;
	char m2: 4;
	long: 0;
} __attribute__((packed));

struct s14 {
	int m0;
	char m1;
	char m2;
	short m3;
	long: 64;
	long: 64;
	long: 64;
};

struct s15 {
	long m0: 11;
};

struct s16 {
	long: 64;
	long: 64;
	long: 64;
	short: 16;
	long m0;
	int: 0;
	unsigned int m1;
	char: 6;
	int m2: 9;
	long: 64;
	long: 64;
	long: 56;
	unsigned int m3;
	long: 0;
	int: 32;
	short m4;
	int: 32;
} __attribute__((packed));

struct s17 {
	int m0: 27;
	long: 64;
	short: 16;
	char m1;
	int: 0;
	unsigned int m2;
	unsigned int m3: 10;
	char m4;
	long: 64;
	long: 64;
	int: 24;
} __attribute__((packed));

struct s18 {
	short m0;
	char m1;
	long: 0;
	int: 32;
};

struct s19 {
	long: 48;
	char m0;
	int m1: 7;
	long: 1;
	unsigned int m2: 5;
	unsigned int m3;
};

struct s20 {
	long m0: 32;
	int m1;
	int: 24;
	short m2;
	long m3: 10;
	long: 14;
	long m4: 39;
} __attribute__((packed));

struct s21 {
	int: 32;
	short m0;
	int: 24;
	long m1;
	long: 0;
	long m2;
	long: 64;
} __attribute__((packed));

struct s22 {
	long m0;
	long: 48;
	long m1;
	long: 0;
} __attribute__((packed));

struct s23 {
	int m0;
	long: 0;
};

struct s24 {
	short: 14;
	unsigned int m0: 5;
	char: 5;
	char: 6;
	char m1: 5;
	int m2;
	int m3: 32;
	char m4: 3;
	long: 0;
};

struct s25 {
	char: 7;
	char m0: 4;
	long: 53;
	long m1: 54;
	int m2: 3;
};

struct s26 {
	long: 64;
	long: 64;
	long: 64;
	long: 40;
	char m0;
	int m1;
	unsigned int m2;
	int: 32;
};

struct s27 {
	int m0;
	char m1: 4;
	long: 64;
	long: 64;
	long: 64;
	short m2;
	long: 0;
	short: 16;
} __attribute__((packed));

struct s28 {
	unsigned int m0: 14;
	int m1: 9;
	int m2;
	char m3: 5;
	long: 64;
};

struct s29 {
	int m0;
	long: 0;
	char: 8;
	int m1;
	short: 0;
	short m2;
	long: 64;
	short: 16;
	int m3;
	long: 0;
	char: 8;
	unsigned int m4;
} __attribute__((packed));

struct s30 {
	char m0: 2;
	unsigned int m1: 16;
	long: 0;
};

struct s31 {
	long m0;
	long: 64;
	char: 8;
	long m1;
} __attribute__((packed));

struct s32 {
	short m0: 13;
	int: 19;
	short: 13;
	long m1: 19;
	long m2;
	short m3;
	int: 0;
	unsigned int m4;
	int: 32;
} __attribute__((packed));

struct s33 {
	int: 32;
	char m0;
	long: 0;
	int m1;
	long: 0;
	char: 8;
} __attribute__((packed));

struct s34 {
	int: 29;
	unsigned int m0: 32;
	long: 64;
};

struct s35 {
	char m0;
	char m1;
	long: 0;
	short: 16;
	long m2;
	long: 64;
	long: 64;
	int: 32;
	int m3;
	long: 64;
	long: 64;
	int: 32;
	short m4;
	char: 8;
} __attribute__((packed));

struct s36 {
	long m0;
};

struct s37 {
	int: 19;
	char m0: 6;
	unsigned int m1: 1;
	long: 64;
};

struct s38 {
	long m0: 37;
	long m1;
};

struct s39 {
	short: 16;
	char m0;
	int: 0;
	unsigned int m1;
	long m2;
	long: 64;
	long: 64;
	long: 64;
	long: 40;
	long m3;
	int: 32;
} __attribute__((packed));

struct s40 {
	long: 64;
	long: 64;
	long: 64;
	short: 16;
	int m0;
	unsigned int m1: 8;
	long: 8;
	short: 10;
	short m2: 16;
	char m3;
	long m4: 19;
} __attribute__((packed));

struct s41 {
	int m0;
};

struct s42 {
	char m0;
	int: 0;
	short: 16;
	int m1;
	long: 64;
	long: 64;
	long: 64;
} __attribute__((packed));

struct s43 {
	long m0;
	int m1: 19;
	short m2: 9;
	long: 64;
	long: 64;
	long: 64;
};

struct s44 {
	char m0;
	int: 0;
	char: 2;
	unsigned int m1: 6;
	long m2: 18;
	long: 6;
	int: 26;
	int m3: 9;
};

struct s45 {
	long m0: 39;
	long: 25;
	char: 7;
	long m1: 21;
	long: 36;
	long m2: 58;
	char: 8;
} __attribute__((packed));

struct s46 {
	char: 5;
	short m0: 6;
	int m1: 17;
	short m2;
	int: 21;
	long m3: 27;
	long: 16;
	short: 16;
	char m4: 6;
	long: 64;
	long: 64;
	int: 24;
} __attribute__((packed));

struct s47 {
	long: 56;
	char m0;
	long: 64;
	long: 48;
	long m1;
	long: 0;
} __attribute__((packed));

struct s48 {
	long: 64;
	long: 64;
	long: 48;
	short m0;
	long: 64;
	long: 64;
	long: 64;
};

struct s49 {
	long m0: 51;
	long: 0;
	unsigned int m1;
	long: 0;
	short m2;
	long: 64;
	long: 64;
	long: 48;
	unsigned int m3;
	char: 8;
	long m4: 6;
	long: 0;
} __attribute__((packed));

struct s50 {
	short m0: 14;
	short: 2;
	char m1: 5;
	long: 43;
	char: 6;
	unsigned int m2: 17;
	long: 0;
	int: 32;
};

struct s51 {
	int m0;
	short m1: 8;
	char m2;
	int m3: 13;
	char: 8;
} __attribute__((packed));

struct s52 {
	char: 8;
	long m0;
	long: 64;
	int m1;
	long: 64;
	long: 64;
	long: 64;
} __attribute__((packed));

struct s53 {
	short: 12;
	char m0: 4;
	short m1: 9;
	int: 7;
	int m2: 32;
	short m3: 2;
	short m4;
};

struct s54 {
	short m0: 11;
};

struct s55 {
	long: 64;
	long: 64;
	long: 40;
	unsigned int m0;
	long: 0;
	long m1;
} __attribute__((packed));

struct s56 {
	char m0: 2;
	short m1: 10;
	long: 52;
	long: 34;
	long m2: 61;
} __attribute__((packed));

struct s57 {
	char m0: 4;
	long m1: 5;
	char m2: 2;
	int: 21;
	int m3: 22;
} __attribute__((packed));

struct s58 {
	long: 64;
	long: 64;
	long: 56;
	int m0;
	int: 0;
	unsigned int m1;
	long: 56;
	char m2;
	long: 64;
} __attribute__((packed));

struct s59 {
	int m0;
	long: 64;
	long: 56;
	long m1;
	long: 64;
	long: 64;
	long: 64;
	long: 40;
	short m2;
	long: 0;
	int m3;
	long: 0;
} __attribute__((packed));

typedef unsigned char __Poly8_t;

typedef __Poly8_t v;

struct decls {
	const volatile int * const restrict (*a)[2][3];
	const volatile int * const restrict (* (*b[4])(const volatile int * const restrict (*x)[2][3], const volatile int * const restrict[2][3], ...))[2][3];
	char __attribute__((btf_type_tag("user"))) *c;
	const volatile int * const restrict (* (* (*d)(void))(const volatile int * const restrict (*x)[2][3], const volatile int * const restrict[2][3], ...))[2][3];
	const volatile int * const restrict e[2][3];
	long: 64;
	long: 64;
	long: 40;
	const volatile int * const restrict(* (*)(const volatile int * const restrict (*x)[2][3], const volatile int * const restrict[2][3], ...))[2][3];
	long: 64;
	long: 64;
	long: 64;
	long: 64;
	long: 64;
	long: 64;
	long: 64;
	long: 64;
} __attribute__((packed));

typedef void fn_t(void);

typedef long __attribute__((aligned(8))) tagged;

typedef const volatile int * const restrict arr_t[2][3];


enum w0_1_1_p {
	k0 = 1ULL,
} __attribute__((mode(byte)));

enum w0_1_ffffffffffffffff_n {
	k1 = 18446744073709551615ULL,
} __attribute__((mode(byte)));

enum w0_1_7fffffff_p {
	k2 = 2147483647ULL,
} __attribute__((mode(byte)));

enum w0_1_80000000_p {
	k3 = 2147483648ULL,
} __attribute__((mode(byte)));

enum w0_1_ffffffff_p {
	k4 = 4294967295ULL,
} __attribute__((mode(byte)));

enum w0_1_100000000_p {
	k5 = 4294967296ULL,
} __attribute__((mode(byte)));

enum w0_1_8000000000000000_p {
	k6 = 9223372036854775808ULL,
} __attribute__((mode(byte)));

enum w0_1_ffffffff80000000_n {
	k7 = 18446744071562067968ULL,
} __attribute__((mode(byte)));

enum w0_1_ffffffff7fffffff_n {
	k8 = 18446744071562067967ULL,
} __attribute__((mode(byte)));

enum e0_1_1 {
	k9 = 1,
} __attribute__((mode(byte)));

enum e0_1_65535 {
	k10 = 4294967295,
} __attribute__((mode(byte)));

enum z0_1;

enum z640_1;

enum w0_2_1_p {
	k11 = 1ULL,
};

enum w0_2_ffffffffffffffff_n {
	k12 = 18446744073709551615ULL,
};

enum w0_2_7fffffff_p {
	k13 = 2147483647ULL,
};

enum w0_2_80000000_p {
	k14 = 2147483648ULL,
};

enum w0_2_ffffffff_p {
	k15 = 4294967295ULL,
};

enum w0_2_100000000_p {
	k16 = 4294967296ULL,
};

enum w0_2_8000000000000000_p {
	k17 = 9223372036854775808ULL,
};

enum w0_2_ffffffff80000000_n {
	k18 = 18446744071562067968ULL,
};

enum w0_2_ffffffff7fffffff_n {
	k19 = 18446744071562067967ULL,
};

enum e0_2_1 {
	k20 = 1,
};

enum e0_2_65535 {
	k21 = 4294967295,
};

enum z0_2;

enum z640_2;

enum w0_4_1_p {
	k22 = 1ULL,
};

enum w0_4_ffffffffffffffff_n {
	k23 = 18446744073709551615ULL,
};

enum w0_4_7fffffff_p {
	k24 = 2147483647ULL,
};

enum w0_4_80000000_p {
	k25 = 2147483648ULL,
};

enum w0_4_ffffffff_p {
	k26 = 4294967295ULL,
};

enum w0_4_100000000_p {
	k27 = 4294967296ULL,
};

enum w0_4_8000000000000000_p {
	k28 = 9223372036854775808ULL,
};

enum w0_4_ffffffff80000000_n {
	k29 = 18446744071562067968ULL,
};

enum w0_4_ffffffff7fffffff_n {
	k30 = 18446744071562067967ULL,
};

enum e0_4_1 {
	k31 = 1,
};

enum e0_4_65535 {
	k32 = 4294967295,
};

enum z0_4;

enum z640_4;

enum w0_8_1_p {
	k33 = 1ULL,
} __attribute__((mode(word)));

enum w0_8_ffffffffffffffff_n {
	k34 = 18446744073709551615ULL,
};

enum w0_8_7fffffff_p {
	k35 = 2147483647ULL,
} __attribute__((mode(word)));

enum w0_8_80000000_p {
	k36 = 2147483648ULL,
} __attribute__((mode(word)));

enum w0_8_ffffffff_p {
	k37 = 4294967295ULL,
} __attribute__((mode(word)));

enum w0_8_100000000_p {
	k38 = 4294967296ULL,
};

enum w0_8_8000000000000000_p {
	k39 = 9223372036854775808ULL,
};

enum w0_8_ffffffff80000000_n {
	k40 = 18446744071562067968ULL,
};

enum w0_8_ffffffff7fffffff_n {
	k41 = 18446744071562067967ULL,
};

enum e0_8_1 {
	k42 = 1,
} __attribute__((mode(word)));

enum e0_8_65535 {
	k43 = 4294967295,
} __attribute__((mode(word)));

enum z0_8;

enum z640_8;

enum w1_1_1_p {
	k44 = 1LL,
} __attribute__((mode(byte)));

enum w1_1_ffffffffffffffff_n {
	k45 = -1LL,
} __attribute__((mode(byte)));

enum w1_1_7fffffff_p {
	k46 = 2147483647LL,
} __attribute__((mode(byte)));

enum w1_1_80000000_p {
	k47 = 2147483648LL,
} __attribute__((mode(byte)));

enum w1_1_ffffffff_p {
	k48 = 4294967295LL,
} __attribute__((mode(byte)));

enum w1_1_100000000_p {
	k49 = 4294967296LL,
} __attribute__((mode(byte)));

enum w1_1_8000000000000000_p {
	k50 = -9223372036854775808LL,
} __attribute__((mode(byte)));

enum w1_1_ffffffff80000000_n {
	k51 = -2147483648LL,
} __attribute__((mode(byte)));

enum w1_1_ffffffff7fffffff_n {
	k52 = -2147483649LL,
} __attribute__((mode(byte)));

enum e1_1_1 {
	k53 = 1,
} __attribute__((mode(byte)));

enum e1_1_65535 {
	k54 = -1,
} __attribute__((mode(byte)));

enum z1_1;

enum z641_1;

enum w1_2_1_p {
	k55 = 1LL,
};

enum w1_2_ffffffffffffffff_n {
	k56 = -1LL,
};

enum w1_2_7fffffff_p {
	k57 = 2147483647LL,
};

enum w1_2_80000000_p {
	k58 = 2147483648LL,
};

enum w1_2_ffffffff_p {
	k59 = 4294967295LL,
};

enum w1_2_100000000_p {
	k60 = 4294967296LL,
};

enum w1_2_8000000000000000_p {
	k61 = -9223372036854775808LL,
};

enum w1_2_ffffffff80000000_n {
	k62 = -2147483648LL,
};

enum w1_2_ffffffff7fffffff_n {
	k63 = -2147483649LL,
};

enum e1_2_1 {
	k64 = 1,
};

enum e1_2_65535 {
	k65 = -1,
};

enum z1_2;

enum z641_2;

enum w1_4_1_p {
	k66 = 1LL,
};

enum w1_4_ffffffffffffffff_n {
	k67 = -1LL,
};

enum w1_4_7fffffff_p {
	k68 = 2147483647LL,
};

enum w1_4_80000000_p {
	k69 = 2147483648LL,
};

enum w1_4_ffffffff_p {
	k70 = 4294967295LL,
};

enum w1_4_100000000_p {
	k71 = 4294967296LL,
};

enum w1_4_8000000000000000_p {
	k72 = -9223372036854775808LL,
};

enum w1_4_ffffffff80000000_n {
	k73 = -2147483648LL,
};

enum w1_4_ffffffff7fffffff_n {
	k74 = -2147483649LL,
};

enum e1_4_1 {
	k75 = 1,
};

enum e1_4_65535 {
	k76 = -1,
};

enum z1_4;

enum z641_4;

enum w1_8_1_p {
	k77 = 1LL,
} __attribute__((mode(word)));

enum w1_8_ffffffffffffffff_n {
	k78 = -1LL,
};

enum w1_8_7fffffff_p {
	k79 = 2147483647LL,
} __attribute__((mode(word)));

enum w1_8_80000000_p {
	k80 = 2147483648LL,
} __attribute__((mode(word)));

enum w1_8_ffffffff_p {
	k81 = 4294967295LL,
} __attribute__((mode(word)));

enum w1_8_100000000_p {
	k82 = 4294967296LL,
};

enum w1_8_8000000000000000_p {
	k83 = -9223372036854775808LL,
};

enum w1_8_ffffffff80000000_n {
	k84 = -2147483648LL,
};

enum w1_8_ffffffff7fffffff_n {
	k85 = -2147483649LL,
};

enum e1_8_1 {
	k86 = 1,
} __attribute__((mode(word)));

enum e1_8_65535 {
	k87 = -1,
} __attribute__((mode(word)));

enum z1_8;

enum z641_8;


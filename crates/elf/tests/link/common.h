typedef unsigned int u32; typedef unsigned long long u64;
#define SEC(x) __attribute__((section(x)))
#define __weak __attribute__((weak))
#define __hidden __attribute__((visibility("hidden")))
#define __uint(name,val) int (*name)[val]
#define __type(name,val) typeof(val) *name
struct list { struct list *next; struct other *o; };
struct shared { u32 a; struct list l; enum { AA, BB } e; };
static void *(*map_lookup)(void *m, const void *k) = (void *)1;

// SPDX-License-Identifier: MIT OR Apache-2.0
// Memory that programs share with user space: pointers into it, and the functions that make pages.
#pragma once
#include "kfunc.h"

#define ARENA __attribute__((address_space(1)))
#define ARG_ARENA __attribute__((btf_decl_tag("arg:arena")))
#define PAGE 4096
#define BPF_MAP_TYPE_ARENA 33
#define BPF_F_MMAPABLE (1 << 10)
#define ANY_NODE (-1)
// A number of 64 bits in a map's declaration.
#define __ulong(name, value) enum { unique_##name = value } name

extern void ARENA *bpf_arena_alloc_pages(void *map, void ARENA *at, u32 pages, int node, u64 flags) KSYM;
extern void bpf_arena_free_pages(void *map, void ARENA *at, u32 pages) KSYM;
extern int bpf_arena_reserve_pages(void *map, void ARENA *at, u32 pages) KSYM;

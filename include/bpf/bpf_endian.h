// SPDX-License-Identifier: MIT OR Apache-2.0
// Byte order: from the machine's to the network's and back, and to little and big endian.
// Constants are converted by the compiler.
#ifndef __BPF_ENDIAN__
#define __BPF_ENDIAN__

#if !defined(__BYTE_ORDER__)
#error "the compiler does not say in which order bytes lie"
#endif

#define ___bpf_swap16(x) ((unsigned short)__builtin_bswap16((unsigned short)(x)))
#define ___bpf_swap32(x) ((unsigned int)__builtin_bswap32((unsigned int)(x)))
#define ___bpf_swap64(x) ((unsigned long long)__builtin_bswap64((unsigned long long)(x)))

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define bpf_htons(x) ___bpf_swap16(x)
#define bpf_htonl(x) ___bpf_swap32(x)
#define bpf_cpu_to_be64(x) ___bpf_swap64(x)
#define bpf_cpu_to_le64(x) ((unsigned long long)(x))
#else
#define bpf_htons(x) ((unsigned short)(x))
#define bpf_htonl(x) ((unsigned int)(x))
#define bpf_cpu_to_be64(x) ((unsigned long long)(x))
#define bpf_cpu_to_le64(x) ___bpf_swap64(x)
#endif

/* Each conversion is its own reverse. */
#define bpf_ntohs(x) bpf_htons(x)
#define bpf_ntohl(x) bpf_htonl(x)
#define bpf_be64_to_cpu(x) bpf_cpu_to_be64(x)
#define bpf_le64_to_cpu(x) bpf_cpu_to_le64(x)

#endif

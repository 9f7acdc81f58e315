// SPDX-License-Identifier: MIT OR Apache-2.0
// CRC-32 of the first bytes of a packet with a nibble table in .rodata.
#include "net.h"

static const u32 table[16] = {
	0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
	0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
};

SEC("xdp")
int crc32(struct xdp_md *ctx)
{
	u8 *p = PTR(ctx->data);
	u8 *end = PTR(ctx->data_end);
	u32 crc = ~0u;

	KEEP_LOOP
	for (u32 i = 0; i < 64; i++) {
		if (!INSIDE(p + i, 1, end))
			break;
		crc ^= p[i];
		crc = (crc >> 4) ^ table[crc & 15];
		crc = (crc >> 4) ^ table[crc & 15];
	}
	return ~crc;
}

LICENSE("Dual MIT/GPL");

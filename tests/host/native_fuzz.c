/* SPDX-License-Identifier: MIT
 *
 * Runs every image of a corpus (uint32 size, bytes; and so on) that passes the check, in memory of exactly its
 * size, so that the sanitizers see each byte too far. Prints how many were refused, foreign and run.
 */
#include "torpor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    FILE *corpus = argc == 2 ? fopen(argv[1], "rb") : NULL;
    uint32_t size, arena_size[2];
    unsigned refused = 0, foreign = 0, run = 0;
    if (!corpus)
        return 2;
    while (fread(&size, 4, 1, corpus) == 1) {
        uint8_t *image = malloc(size);
        if (!image || fread(image, 1, size, corpus) != size)
            return 2;
        memcpy(arena_size, image + 16, 8);
        uint64_t bytes = (uint64_t)arena_size[0] + arena_size[1];
        if (bytes > (1 << 25)) /* no reader asks for more */
            bytes = 1 << 25;
        int8_t *arena = malloc(bytes ? bytes : 1);
        for (uint64_t i = 0; i < bytes; i++)
            arena[i] = (int8_t)(i * 37 + size);
        int32_t found = torpor_check(image, size, bytes);
        if (found > 0)
            refused++;
        else if (found < 0)
            foreign++;
        else {
            torpor_invoke(image, arena);
            run++;
        }
        free(arena);
        free(image);
    }
    printf("%u %u %u\n", refused, foreign, run);
    return 0;
}

/* What a command line needs: numbers and words. Pure. */
#include "user/lib/primer.h"

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 99;
}

bool parse_u64(const char *text, uint64_t *value)
{
    unsigned base = 10;
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        text += 2;
    }
    uint64_t sum = 0;
    if (*text == '\0')
        return false;
    for (; *text; text++) {
        unsigned digit = (unsigned)digit_value(*text);
        if (digit >= base || __builtin_mul_overflow(sum, base, &sum)
            || __builtin_add_overflow(sum, digit, &sum))
            return false;
    }
    *value = sum;
    return true;
}

int split_words(char *line, char **words, int max)
{
    int count = 0;
    char *in = line, *out = line;   /* out never overtakes in: quotes and backslashes only make a word shorter */
    for (;;) {
        while (*in == ' ' || *in == '\t')
            in++;
        if (*in == '\0')
            break;
        if (count == max)
            return -1;
        words[count++] = out;
        bool quoted = false;
        for (; *in && (quoted || (*in != ' ' && *in != '\t')); in++) {
            if (*in == '"')
                quoted = !quoted;
            else if (*in == '\\' && in[1])
                *out++ = *++in;
            else
                *out++ = *in;
        }
        if (quoted)
            return -1;
        bool last = *in == '\0';            /* look before writing: out may be where in is */
        *out++ = '\0';
        if (last)
            break;
        in++;
    }
    words[count] = NULL;
    return count;
}

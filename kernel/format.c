/*
 * The formatter behind every line the kernel prints: the subset of printf that kernel/log.h names. Pure: no
 * state, no lock, no memory but the caller's buffer, so that it works in any context and is tested on the
 * host. Deliberately no floating point, no octal, no positional arguments.
 */
#include "kernel/log.h"

struct output {
    char *buf;
    size_t size;
    size_t len;         /* what the whole text needs, also where it no longer fits */
};

struct spec {
    bool zero, left;
    int width;
    int precision;      /* of %s; -1: none */
    int longs;          /* 0: int, 1: long or size_t, 2: long long */
};

static void put(struct output *out, char c)
{
    if (out->len + 1 < out->size)
        out->buf[out->len] = c;
    out->len++;
}

static void pad(struct output *out, char c, int count)
{
    while (count-- > 0)
        put(out, c);
}

/* `sign` ("", "-" or "0x") comes before the zeros of a zero-padded number and after the blanks of another. */
static void put_number(struct output *out, const struct spec *spec, const char *sign, uint64_t value, unsigned base)
{
    char digits[20];    /* 2^64 has 20 decimal digits */
    int count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);

    int fill = spec->width - count;
    for (const char *s = sign; *s; s++)
        fill--;
    if (!spec->left && !spec->zero)
        pad(out, ' ', fill);
    for (; *sign; sign++)
        put(out, *sign);
    if (!spec->left && spec->zero)
        pad(out, '0', fill);
    while (count)
        put(out, digits[--count]);
    if (spec->left)
        pad(out, ' ', fill);
}

static void put_string(struct output *out, const struct spec *spec, const char *text)
{
    if (!text)
        text = "(null)";
    int len = 0;
    while ((spec->precision < 0 || len < spec->precision) && text[len])
        len++;
    if (!spec->left)
        pad(out, ' ', spec->width - len);
    for (int i = 0; i < len; i++)
        put(out, text[i]);
    if (spec->left)
        pad(out, ' ', spec->width - len);
}

/* A decimal number of the format, or a '*' that takes it from the arguments. */
static const char *read_count(const char *format, int *count, va_list *args)
{
    if (*format == '*') {
        *count = va_arg(*args, int);
        return format + 1;
    }
    for (*count = 0; *format >= '0' && *format <= '9'; format++)
        *count = *count * 10 + (*format - '0');
    return format;
}

/* Reads what stands between '%' and the conversion letter. */
static const char *read_spec(const char *format, struct spec *spec, va_list *args)
{
    *spec = (struct spec){.precision = -1};
    for (; *format == '0' || *format == '-'; format++) {
        if (*format == '0')
            spec->zero = true;
        else
            spec->left = true;
    }
    format = read_count(format, &spec->width, args);
    if (spec->width < 0) {
        spec->left = true;
        spec->width = -spec->width;
    }
    if (*format == '.')
        format = read_count(format + 1, &spec->precision, args);
    for (; *format == 'l' || *format == 'z'; format++)
        spec->longs++;
    return format;
}

static int64_t read_signed(const struct spec *spec, va_list *args)
{
    if (spec->longs == 0)
        return va_arg(*args, int);
    return spec->longs == 1 ? va_arg(*args, long) : va_arg(*args, long long);
}

static uint64_t read_unsigned(const struct spec *spec, va_list *args)
{
    if (spec->longs == 0)
        return va_arg(*args, unsigned);
    return spec->longs == 1 ? va_arg(*args, unsigned long) : va_arg(*args, unsigned long long);
}

/* False if the letter is no conversion; then no argument has been taken for it. */
static bool convert(struct output *out, char letter, const struct spec *spec, va_list *args)
{
    switch (letter) {
    case 's':
        put_string(out, spec, va_arg(*args, const char *));
        return true;
    case 'c':
        pad(out, ' ', spec->left ? 0 : spec->width - 1);
        put(out, (char)va_arg(*args, int));
        pad(out, ' ', spec->left ? spec->width - 1 : 0);
        return true;
    case 'd':
    case 'i': {
        int64_t value = read_signed(spec, args);
        uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
        put_number(out, spec, value < 0 ? "-" : "", magnitude, 10);
        return true;
    }
    case 'u':
        put_number(out, spec, "", read_unsigned(spec, args), 10);
        return true;
    case 'x':
        put_number(out, spec, "", read_unsigned(spec, args), 16);
        return true;
    case 'p':
        put_number(out, spec, "0x", (uintptr_t)va_arg(*args, void *), 16);
        return true;
    case '%':
        put(out, '%');
        return true;
    default:
        return false;
    }
}

int format_v(char *buf, size_t size, const char *format, va_list args)
{
    struct output out = {.buf = buf, .size = size};
    va_list rest;       /* a copy, since an array parameter's address is not that of a va_list */
    va_copy(rest, args);
    while (*format) {
        if (*format != '%') {
            put(&out, *format++);
            continue;
        }
        struct spec spec;
        const char *letter = read_spec(format + 1, &spec, &rest);
        if (convert(&out, *letter, &spec, &rest))
            format = letter + 1;
        else
            put(&out, *format++);   /* shown as it stands: a visible mistake beats a wrong argument */
    }
    va_end(rest);
    if (size > 0)
        buf[out.len < size ? out.len : size - 1] = '\0';
    return (int)out.len;
}

int format(char *buf, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = format_v(buf, size, format, args);
    va_end(args);
    return len;
}

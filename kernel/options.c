/*
 * The kernel command line. Called once by kernel_main(), before there is a second CPU: no lock. One table
 * says what there is; what a word means beyond its name, kind and range is the business of whoever reads
 * `options`.
 */
#include "kernel/options.h"
#include "boot/boot_info.h"
#include "kernel/log.h"
#include "kernel/mem.h"
#include "kernel/panic.h"

enum option_kind {
    OPTION_NUMBER,          /* name=N, min..max; uint32_t */
    OPTION_POWER_OF_TWO,    /* the same, powers of two only */
    OPTION_FLAG,            /* name alone; bool */
    OPTION_CHOICE,          /* name=A or name=B, `choices`; bool: it was B */
    OPTION_WORD,            /* name=TEXT, up to the next space; const char * */
    OPTION_REST,            /* name=TEXT, up to the end of the line; const char * */
};

struct option {
    const char *name;
    enum option_kind kind;
    size_t target;          /* offset in struct kernel_options */
    uint32_t min, max;
    const char *choices[2];
};

#define TARGET(field) offsetof(struct kernel_options, field)

static const struct option table[] = {
    {"pinit",         OPTION_CHOICE,       TARGET(pinit_inline), .choices = {"worker", "inline"}},
    {"pinit.delay",   OPTION_NUMBER,       TARGET(pinit_delay_us), 0, 1000000, {NULL}},
    {"pinit.shuffle", OPTION_FLAG,         TARGET(pinit_shuffle), 0, 0, {NULL}},
    {"quantum",       OPTION_NUMBER,       TARGET(quantum_us), 100, 1000000, {NULL}},
    {"cpus",          OPTION_NUMBER,       TARGET(max_cpus), 1, MAX_CPUS, {NULL}},
    {"trace",         OPTION_POWER_OF_TWO, TARGET(trace_events), 16, 1u << 20, {NULL}},
    {"init",          OPTION_WORD,         TARGET(init), 0, 0, {NULL}},
    {"cmd",           OPTION_REST,         TARGET(cmd), 0, 0, {NULL}},
};

#define QUOTE_MAX 64        /* how much of a bad word an error repeats */

struct kernel_options options;

static const struct option *find(const char *name, size_t len)
{
    for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
        if (strncmp(name, table[i].name, len) == 0 && table[i].name[len] == '\0')
            return &table[i];
    }
    return NULL;
}

/* Decimal digits and nothing else; false also if it does not fit. */
static bool read_number(const char *text, uint32_t *number)
{
    uint64_t value = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (uint64_t)(*text - '0');
        if (value > UINT32_MAX)
            return false;
    }
    *number = (uint32_t)value;
    return true;
}

/* Stores `value` (NULL: the word had no '=') as `option` says; false: that is not what it wants. */
static bool store(const struct option *option, const char *value, struct kernel_options *out)
{
    void *target = (char *)out + option->target;
    uint32_t number;

    if ((option->kind == OPTION_FLAG) != (value == NULL))
        return false;
    switch (option->kind) {
    case OPTION_FLAG:
        *(bool *)target = true;
        return true;
    case OPTION_CHOICE:
        *(bool *)target = strcmp(value, option->choices[1]) == 0;
        return *(bool *)target || strcmp(value, option->choices[0]) == 0;
    case OPTION_NUMBER:
    case OPTION_POWER_OF_TWO:
        if (!read_number(value, &number) || number < option->min || number > option->max)
            return false;
        if (option->kind == OPTION_POWER_OF_TWO && (number & (number - 1)))
            return false;
        *(uint32_t *)target = number;
        return true;
    case OPTION_WORD:
    case OPTION_REST:
        *(const char **)target = value;
        return *value != '\0';
    }
    return false;
}

/* What `option` wants to see, for an error. */
static void describe(const struct option *option, char *to, size_t size)
{
    switch (option->kind) {
    case OPTION_FLAG:
        format(to, size, "%s, without a value", option->name);
        return;
    case OPTION_CHOICE:
        format(to, size, "%s=%s or %s=%s", option->name, option->choices[0], option->name, option->choices[1]);
        return;
    case OPTION_NUMBER:
    case OPTION_POWER_OF_TWO:
        format(to, size, "%s=N, N %s from %u to %u", option->name,
               option->kind == OPTION_NUMBER ? "a number" : "a power of two", option->min, option->max);
        return;
    case OPTION_WORD:
    case OPTION_REST:
        format(to, size, "%s=TEXT", option->name);
        return;
    }
}

/* `word` stands in the caller's line, not in `buffer`, which is overwritten here. */
static const char *complain(const struct option *option, const char *word, size_t len, char *buffer, size_t size)
{
    int shown = (int)min_u64(len, QUOTE_MAX);
    if (option) {
        char wanted[96];
        describe(option, wanted, sizeof(wanted));
        format(buffer, size, "option \"%.*s\": expected %s", shown, word, wanted);
        return buffer;
    }
    int at = format(buffer, size, "unknown option \"%.*s\"; known are", shown, word);
    for (unsigned i = 0; i < ARRAY_SIZE(table) && (size_t)at < size; i++)
        at += format(buffer + at, size - (size_t)at, " %s%s", table[i].name, table[i].kind == OPTION_FLAG ? "" : "=");
    return buffer;
}

const char *options_read(const char *line, struct kernel_options *out, char *buffer, size_t size)
{
    *out = (struct kernel_options){
        .quantum_us = 10000, .max_cpus = MAX_CPUS, .trace_events = 1024, .init = "/bin/init",
    };
    size_t length = strlen(line);
    if (length >= size)
        return "the command line is too long";
    memcpy(buffer, line, length + 1);

    for (size_t at = 0; at < length;) {
        if (line[at] == ' ') {
            at++;
            continue;
        }
        size_t name_len = 0;
        while (line[at + name_len] && line[at + name_len] != ' ' && line[at + name_len] != '=')
            name_len++;
        const struct option *option = find(line + at, name_len);

        size_t end = at + name_len;
        while (line[end] && (line[end] != ' ' || (option && option->kind == OPTION_REST)))
            end++;
        buffer[end] = '\0';
        const char *value = line[at + name_len] == '=' ? buffer + at + name_len + 1 : NULL;
        if (!option || !store(option, value, out))
            return complain(option, line + at, end - at, buffer, size);
        at = end;
    }
    return NULL;
}

void options_parse(const char *line)
{
    static char buffer[BOOT_CMDLINE_MAX];       /* init= and cmd= point into it for ever */
    const char *error = options_read(line, &options, buffer, sizeof(buffer));
    if (error)
        boot_fail("%s", error);
}

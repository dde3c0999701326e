/*
 * The life of one page, told from the trace: one sentence per event between the fault and the moment when
 * the thread runs again. It says what was recorded and nothing else; a step that is not in the trace is not
 * in the story.
 */
#include "user/lib/primer.h"

/* The bits of a page fault's error code (SDM vol. 3, 4.7). */
#define ERROR_PRESENT 1
#define ERROR_WRITE   2
#define ERROR_USER    4
#define ERROR_FETCH   16

struct story {
    uint64_t page;                      /* its number */
    uint64_t begin;                     /* time of the fault */
    uint32_t thread, task;              /* who faulted */
    uint32_t frame;                     /* 0: not assigned yet */
};

static void tell_fault(const struct primer_event *event)
{
    unsigned error = (unsigned)event->flags;
    const char *does = error & ERROR_FETCH ? "runs code on" : error & ERROR_WRITE ? "writes to" : "reads from";
    const char *what = error & ERROR_PRESENT ? "a page that is there, but not for that" : "a page that is not there";
    print("thread %u of task %u %s %s. The CPU raises a page fault (error code %u%s).\n", event->thread,
          event->task, does, what, error, error & ERROR_USER ? ", user mode" : ", the kernel on its behalf");
}

static void tell(const struct primer_event *event, const struct story *story)
{
    switch (event->kind) {
    case PRIMER_EVENT_FAULT:
        tell_fault(event);
        return;
    case PRIMER_EVENT_ALLOC:
        print("The handler takes frame %u for the page.\n", event->frame);
        return;
    case PRIMER_EVENT_IO:
        print("The page's entry says \"io\": frame %u is assigned, its bytes are not final.\n", event->frame);
        return;
    case PRIMER_EVENT_QUEUED:
        if (event->other)
            print("A request is queued for the worker: copy frame %u.\n", event->other);
        else
            print("A request is queued for the worker: fill with zeroes.\n");
        return;
    case PRIMER_EVENT_JOIN:
        print("thread %u touches the page too, finds \"io\" and joins those who wait.\n", event->thread);
        return;
    case PRIMER_EVENT_SLEEP:
        print("thread %u sleeps until the bytes are final.\n", event->thread);
        return;
    case PRIMER_EVENT_IRET:
        print("The handler returns from the interrupt; thread %u goes on instead.\n", event->other);
        return;
    case PRIMER_EVENT_TAKE:
        print("Worker thread %u takes the request.\n", event->thread);
        return;
    case PRIMER_EVENT_FLUSH:
        print("Every other CPU has forgotten where the page was before.\n");
        return;
    case PRIMER_EVENT_FILL_BEGIN:
        if (event->other)
            print("It begins to copy frame %u to frame %u, interrupts on, no lock held.\n", event->other,
                  story->frame);
        else
            print("It begins to zero frame %u, interrupts on, no lock held.\n", story->frame);
        return;
    case PRIMER_EVENT_FILL_END:
        print("Done: the bytes are final.\n");
        return;
    case PRIMER_EVENT_PUBLISH:
        print("The page's entry says \"present\": whoever touches it now gets frame %u.\n", event->frame);
        return;
    case PRIMER_EVENT_WAKE:
        print("thread %u is runnable again.\n", event->thread);
        return;
    case PRIMER_EVENT_RESUME:
        print("thread %u is back on a CPU and runs the same instruction again.\n", event->thread);
        return;
    case PRIMER_EVENT_REUSE:
        print("Nobody else has frame %u any more: the page is made writable as it is, no copy.\n", event->frame);
        return;
    default:
        print("%s.\n", primer_event_text(event->kind));
    }
}

static bool tellable(unsigned kind)
{
    return (kind >= PRIMER_EVENT_FAULT && kind <= PRIMER_EVENT_LEAVE) && kind != PRIMER_EVENT_IRET;
}

/* Whether the event belongs to the story. A return from the interrupt is about a thread, not about a page. */
static bool belongs(const struct primer_event *event, const struct story *story)
{
    if (event->kind == PRIMER_EVENT_IRET)
        return event->thread == story->thread;
    if (!tellable(event->kind))
        return false;
    bool same_frame = story->frame && event->frame == story->frame;
    if (event->page)
        return event->page == story->page && (event->task == story->task || same_frame);
    return same_frame || event->thread == story->thread;
}

bool primer_story(const void *address, uint64_t since)
{
    struct primer_trace trace;
    if (primer_trace_collect(&trace, 512) < 0)
        return false;

    struct story story = {.page = (uintptr_t)address >> PAGE_SHIFT};
    bool found = false;
    for (uint64_t i = 0; i < trace.count; i++) {
        const struct primer_event *event = &trace.events[i];
        if (!found) {
            if (event->kind != PRIMER_EVENT_FAULT || event->page != story.page || event->time < since)
                continue;
            found = true;
            story.begin = event->time;
            story.thread = event->thread;
            story.task = event->task;
        }
        if (!belongs(event, &story))
            continue;
        if (event->kind == PRIMER_EVENT_ALLOC || event->kind == PRIMER_EVENT_REUSE)
            story.frame = event->frame;
        primer_print_us(event->time - story.begin);
        print(" us  cpu %u  %-10s  ", (unsigned)event->cpu, primer_event_name(event->kind));
        tell(event, &story);
        /* With pinit=inline, or for a page that is reused, nobody sleeps, and the return is the end. */
        bool asleep = story.frame && event->kind == PRIMER_EVENT_IRET && event->other != story.thread;
        if (event->kind == PRIMER_EVENT_RESUME || (event->kind == PRIMER_EVENT_IRET && !asleep))
            break;
    }
    primer_trace_free(&trace);
    return found;
}

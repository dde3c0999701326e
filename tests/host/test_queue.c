/* kernel/prio_queue.h and kernel/list.h, used as run queues and as queues of page-init requests, against plain arrays. */
#include <string.h>
#include "kernel/prio_queue.h"
#include "test.h"

#define NODES 300u

static struct item { struct list_node node; unsigned prio; bool queued; } items[NODES];

/* The model: each level's items in order. */
static struct item *order[PRIO_LEVELS][NODES];
static unsigned length[PRIO_LEVELS];

static void model_add(unsigned prio, unsigned at, struct item *item)
{
    memmove(&order[prio][at + 1], &order[prio][at], (length[prio] - at) * sizeof(item));
    order[prio][at] = item;
    length[prio]++;
    item->prio = prio;
    item->queued = true;
}

static void model_take(struct item *item)
{
    unsigned at = 0, prio = item->prio;
    while (order[prio][at] != item)
        at++;
    length[prio]--;
    memmove(&order[prio][at], &order[prio][at + 1], (length[prio] - at) * sizeof(item));
    item->queued = false;
}

static int model_top(void)
{
    int top = PRIO_LEVELS - 1;
    while (top >= 0 && length[top] == 0)
        top--;
    return top;
}

static void check_queue(const struct prio_queue *q)
{
    for (unsigned p = 0; p < PRIO_LEVELS; p++) {
        CHECK(((q->nonempty >> p) & 1) == (length[p] > 0));
        const struct list_node *node = q->level[p].next;
        for (unsigned i = 0; i < length[p]; i++, node = node->next)
            CHECK(node == &order[p][i]->node);
        CHECK(node == &q->level[p]);
    }
    CHECK(prio_queue_top(q) == model_top() && prio_queue_empty(q) == (model_top() < 0));
}

/*
 * As a run queue: who becomes ready goes to the back, who is preempted to the front, the scheduler pops, a boost moves a thread
 * to another level, a killed one leaves from the middle. The requests' queue is the same with urgent requests moved up.
 */
TEST(prio_queue_random)
{
    struct prio_queue q;
    struct random r = {5};
    prio_queue_init(&q);
    for (unsigned i = 0; i < NODES; i++)
        list_init(&items[i].node);
    for (unsigned step = 0; step < 200000; step++) {
        struct item *item = &items[random_below(&r, step / 5000 % 2 ? 5 : NODES)];
        unsigned what = (unsigned)random_below(&r, 6), prio = (unsigned)random_below(&r, PRIO_LEVELS);
        if (what == 0) {
            int top = model_top();
            struct list_node *node = prio_queue_pop(&q);
            CHECK(!node == (top < 0));
            if (node) {
                CHECK(node == &order[top][0]->node && !list_linked(node));
                model_take(order[top][0]);
            }
        } else if (!item->queued && what < 4) {
            prio_queue_push(&q, prio, &item->node);
            model_add(prio, length[prio], item);
        } else if (!item->queued) {
            prio_queue_push_front(&q, prio, &item->node);
            model_add(prio, 0, item);
        } else {
            prio_queue_remove(&q, item->prio, &item->node);
            model_take(item);
            if (what == 5) {                    /* boosted: to the back of another level */
                prio_queue_push(&q, prio, &item->node);
                model_add(prio, length[prio], item);
            }
        }
        if (step % 20 == 0)
            check_queue(&q);
    }
    while (prio_queue_pop(&q))
        ;
    CHECK(prio_queue_empty(&q) && prio_queue_top(&q) == -1 && !prio_queue_pop(&q));
}

TEST(prio_queue_round_robin)
{
    struct prio_queue q;
    prio_queue_init(&q);
    for (unsigned i = 0; i < 3; i++)
        prio_queue_push(&q, 20, &items[i].node);
    for (unsigned turn = 0; turn < 30; turn++) {
        struct list_node *node = prio_queue_pop(&q);
        CHECK(node == &items[turn % 3].node);
        prio_queue_push(&q, 20, node);
    }
    prio_queue_push(&q, 21, &items[3].node);
    CHECK(prio_queue_pop(&q) == &items[3].node);
}

TEST(list_splice_keeps_order)
{
    struct list_node a, b;
    list_init(&a);
    list_init(&b);
    list_splice_back(&a, &b);
    CHECK(list_empty(&a));
    for (unsigned i = 0; i < 6; i++)
        list_push_back(i < 3 ? &a : &b, &items[i].node);
    list_splice_back(&a, &b);
    CHECK(list_empty(&b));
    list_remove(&items[4].node);                /* does not matter which list it came from */
    list_remove(&items[4].node);                /* harmless */
    for (unsigned i = 0; i < 6; i++)
        if (i != 4)
            CHECK(list_pop_front(&a) == &items[i].node);
    CHECK(!list_pop_front(&a));
}

/*
 * Circular doubly linked lists whose links live inside the objects. A head is a node of its own, so that
 * taking an object off needs no knowledge of which list it is on: a killed thread can leave a wait list
 * that has meanwhile been moved from a frame to its worker's stack. A node off every list points at itself.
 * Whoever owns the list says which lock protects it.
 */
#ifndef KERNEL_LIST_H
#define KERNEL_LIST_H

#include "kernel/types.h"

struct list_node { struct list_node *next, *prev; };

#define list_entry(node, type, member) container_of(node, type, member)

static inline void list_init(struct list_node *node)            { node->next = node->prev = node; }
static inline bool list_empty(const struct list_node *head)     { return head->next == head; }
static inline bool list_linked(const struct list_node *node)    { return node->next != node; }

static inline void list_insert_before(struct list_node *pos, struct list_node *node)
{
    node->prev = pos->prev;
    node->next = pos;
    pos->prev->next = node;
    pos->prev = node;
}

static inline void list_push_back(struct list_node *head, struct list_node *node)  { list_insert_before(head, node); }
static inline void list_push_front(struct list_node *head, struct list_node *node) { list_insert_before(head->next, node); }

/* Taking off a node that is on no list is harmless: it points at itself before and after. */
static inline void list_remove(struct list_node *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* The first node, taken off; NULL if the list is empty. */
static inline struct list_node *list_pop_front(struct list_node *head)
{
    struct list_node *node = head->next;
    if (node == head)
        return NULL;
    list_remove(node);
    return node;
}

/* Moves all nodes of `from`, in order, to the end of `to`; `from` is empty afterwards. O(1). */
static inline void list_splice_back(struct list_node *to, struct list_node *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    from->prev->next = to;
    to->prev->next = from->next;
    to->prev = from->prev;
    list_init(from);
}

#endif

/*
 * Intrusive AVL trees: the node lives in the object, the caller finds the place, the tree keeps itself
 * balanced. Height at most 1.44 log2(n). Used for the ranges of an address space, for its address waiters,
 * for timers, and for the registers of objects. The owner's lock protects a tree. An augmented tree has an
 * `update` that recomputes what a node knows of its subtree from its children.
 */
#ifndef KERNEL_AVL_H
#define KERNEL_AVL_H

#include "kernel/types.h"

struct avl_node {
    struct avl_node *parent, *left, *right;
    int height;                                 /* 1 for a leaf */
};

struct avl_tree {
    struct avl_node *root;
    void (*update)(struct avl_node *node);      /* NULL: nothing is kept per subtree */
};

/*
 * Links `node` below `parent` (NULL: as the root) at *link, which is &parent->left, &parent->right or
 * &tree->root, and rebalances.
 */
void avl_insert(struct avl_tree *tree, struct avl_node *parent, struct avl_node **link, struct avl_node *node);
void avl_remove(struct avl_tree *tree, struct avl_node *node);
/* Recomputes `node` and all above it, after something it keeps has changed. */
void avl_changed(struct avl_tree *tree, struct avl_node *node);

/* In order; NULL at the end. */
struct avl_node *avl_first(const struct avl_tree *tree);
struct avl_node *avl_next(const struct avl_node *node);
struct avl_node *avl_prev(const struct avl_node *node);

#endif

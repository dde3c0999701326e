/*
 * Intrusive AVL trees (kernel/avl.h): linking, unlinking and the rebalancing after both, iteratively, so
 * that the stack a call needs does not depend on the tree. Called by mm/vma.c for ranges and by the timers.
 * No lock of its own: the owner's lock protects a tree. It never looks at a key, so it cannot search; the
 * owner does.
 */
#include "kernel/avl.h"

static int height(const struct avl_node *node) { return node ? node->height : 0; }

static void refresh(const struct avl_tree *tree, struct avl_node *node)
{
    int left = height(node->left), right = height(node->right);
    node->height = 1 + (left > right ? left : right);
    if (tree->update)
        tree->update(node);
}

/* Where the tree points at `node`: a child slot of its parent, or the root. */
static struct avl_node **slot_of(struct avl_tree *tree, const struct avl_node *node)
{
    if (!node->parent)
        return &tree->root;
    return node->parent->left == node ? &node->parent->left : &node->parent->right;
}

static void replace_child(struct avl_node **slot, struct avl_node *parent, struct avl_node *child)
{
    *slot = child;
    if (child)
        child->parent = parent;
}

/* Lifts the left child above `node` (the right one if `right`), keeping the order. Returns the new top. */
static struct avl_node *rotate(struct avl_tree *tree, struct avl_node *node, bool right)
{
    struct avl_node *up = right ? node->right : node->left;
    replace_child(slot_of(tree, node), node->parent, up);
    if (right) {
        replace_child(&node->right, node, up->left);
        replace_child(&up->left, up, node);
    } else {
        replace_child(&node->left, node, up->right);
        replace_child(&up->right, up, node);
    }
    refresh(tree, node);        /* now the lower one: before its new parent */
    refresh(tree, up);
    return up;
}

/*
 * Puts `node`, whose subtrees are balanced and differ by two at most, into balance. Returns the top of its
 * place.
 */
static struct avl_node *balance(struct avl_tree *tree, struct avl_node *node)
{
    int lean = height(node->right) - height(node->left);
    if (lean > 1) {
        if (height(node->right->left) > height(node->right->right))
            rotate(tree, node->right, false);
        return rotate(tree, node, true);
    }
    if (lean < -1) {
        if (height(node->left->right) > height(node->left->left))
            rotate(tree, node->left, true);
        return rotate(tree, node, false);
    }
    return node;
}

/*
 * Balances `node` and all above it. A plain tree can stop where a height stays as it was; an augmented one
 * cannot.
 */
static void balance_upwards(struct avl_tree *tree, struct avl_node *node)
{
    while (node) {
        int before = node->height;
        refresh(tree, node);
        node = balance(tree, node);
        if (!tree->update && node->height == before)
            return;
        node = node->parent;
    }
}

void avl_insert(struct avl_tree *tree, struct avl_node *parent, struct avl_node **link, struct avl_node *node)
{
    *node = (struct avl_node){.parent = parent};    /* height 0: the first refresh counts as a change */
    *link = node;
    balance_upwards(tree, node);
}

void avl_remove(struct avl_tree *tree, struct avl_node *node)
{
    struct avl_node *lowest;    /* the lowest node whose subtree has changed */

    if (node->left && node->right) {
        /* The successor has no left child: it moves out of its place into node's, height included. */
        struct avl_node *next = avl_next(node);
        lowest = next->parent == node ? next : next->parent;
        replace_child(slot_of(tree, next), next->parent, next->right);
        replace_child(slot_of(tree, node), node->parent, next);
        replace_child(&next->left, next, node->left);
        replace_child(&next->right, next, node->right);
        next->height = node->height;
    } else {
        lowest = node->parent;
        replace_child(slot_of(tree, node), node->parent, node->left ? node->left : node->right);
    }
    *node = (struct avl_node){0};
    balance_upwards(tree, lowest);
}

void avl_changed(struct avl_tree *tree, struct avl_node *node)
{
    for (; node; node = node->parent)
        refresh(tree, node);
}

struct avl_node *avl_first(const struct avl_tree *tree)
{
    struct avl_node *node = tree->root;
    while (node && node->left)
        node = node->left;
    return node;
}

struct avl_node *avl_next(const struct avl_node *node)
{
    if (node->right) {
        struct avl_node *next = node->right;
        while (next->left)
            next = next->left;
        return next;
    }
    while (node->parent && node->parent->right == node)
        node = node->parent;
    return node->parent;
}

struct avl_node *avl_prev(const struct avl_node *node)
{
    if (node->left) {
        struct avl_node *prev = node->left;
        while (prev->right)
            prev = prev->right;
        return prev;
    }
    while (node->parent && node->parent->left == node)
        node = node->parent;
    return node->parent;
}

/* kernel/avl.c against a sorted array: order, balance, heights, parents, and what an augmented tree keeps per subtree. */
#include "kernel/avl.h"
#include "test.h"

#define KEYS 2000u

struct item {
    struct avl_node node;
    unsigned key;
    unsigned value, sum;        /* augmented: the subtree's sum of values */
    bool in;
};

static struct item items[KEYS];
static bool augmented;

static struct item *item_of(struct avl_node *node) { return container_of(node, struct item, node); }

static void update_sum(struct avl_node *node)
{
    struct item *item = item_of(node);
    item->sum = item->value + (node->left ? item_of(node->left)->sum : 0) + (node->right ? item_of(node->right)->sum : 0);
}

static void insert(struct avl_tree *tree, struct item *item)
{
    struct avl_node *parent = NULL, **link = &tree->root;
    while (*link) {
        parent = *link;
        link = item->key < item_of(parent)->key ? &parent->left : &parent->right;
    }
    avl_insert(tree, parent, link, &item->node);
    item->in = true;
}

/* Returns the height. */
static int check_subtree(struct avl_node *node, struct avl_node *parent, unsigned low, unsigned high, unsigned *count)
{
    if (!node)
        return 0;
    struct item *item = item_of(node);
    CHECK(node->parent == parent);
    CHECK(item->in && item->key >= low && item->key < high);
    int left = check_subtree(node->left, node, low, item->key, count);
    int right = check_subtree(node->right, node, item->key + 1, high, count);
    CHECK(left - right >= -1 && left - right <= 1);
    CHECK_EQ(node->height, 1 + (left > right ? left : right));
    if (augmented) {
        unsigned sum = item->sum;
        update_sum(node);
        CHECK_EQ(item->sum, sum);
    }
    ++*count;
    return node->height;
}

static void check_tree(struct avl_tree *tree, unsigned expected)
{
    unsigned count = 0, seen = 0;
    check_subtree(tree->root, NULL, 0, KEYS, &count);
    CHECK_EQ(count, expected);

    struct avl_node *node = avl_first(tree), *prev = NULL;
    for (unsigned key = 0; key < KEYS; key++) {
        if (!items[key].in)
            continue;
        CHECK(node == &items[key].node && avl_prev(node) == prev);
        prev = node;
        node = avl_next(node);
        seen++;
    }
    CHECK(!node && seen == expected);
}

static void random_operations(void (*update)(struct avl_node *))
{
    struct avl_tree tree = {.update = update};
    struct random r = {1};
    unsigned count = 0;
    augmented = update;
    for (unsigned key = 0; key < KEYS; key++)
        items[key] = (struct item){.key = key, .value = key % 7};

    for (unsigned step = 0; step < 200000; step++) {
        /* The tree grows and shrinks in turns. */
        unsigned range = step / 20000 % 2 ? 40 : KEYS;
        struct item *item = &items[random_below(&r, range)];
        if (!item->in) {
            insert(&tree, item);
            count++;
        } else if (random_below(&r, 8) == 0) {
            item->value = (unsigned)random_below(&r, 100);
            avl_changed(&tree, &item->node);
        } else {
            avl_remove(&tree, &item->node);
            item->in = false;
            count--;
        }
        if (step % 100 == 0 || count < 8)
            check_tree(&tree, count);
    }
    for (unsigned key = 0; key < KEYS; key++) {
        if (items[key].in) {
            avl_remove(&tree, &items[key].node);
            items[key].in = false;
        }
    }
    CHECK(!tree.root && !avl_first(&tree));
}

TEST(avl_plain_random)     { random_operations(NULL); }
TEST(avl_augmented_random) { random_operations(update_sum); }

TEST(avl_ascending_stays_low)
{
    struct avl_tree tree = {.update = NULL};
    for (unsigned key = 0; key < 1024; key++) {
        items[key] = (struct item){.key = key};
        insert(&tree, &items[key]);
    }
    check_tree(&tree, 1024);
    CHECK(tree.root->height <= 11);
}

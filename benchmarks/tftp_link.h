/*
 * The link between tftp_client.c and the server: each packet may be lost, or held back for a while.
 */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct packet {
    struct packet *next;
    double due;
    size_t length;
    uint8_t bytes[];
};

struct queue {
    struct packet *first, **last;
};

/* Packets under way in both directions, and what chance brings next. */
struct link {
    struct queue in, out;
    uint64_t chance;
};

static inline double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline bool is_lost(struct link *link, double share) {
    if (share <= 0) return false;
    uint64_t x = link->chance; /* xorshift64* */
    x ^= x >> 12, x ^= x << 25, x ^= x >> 27;
    link->chance = x;
    return (double)((x * 0x2545F4914F6CDD1DULL) >> 11) / 9007199254740992.0 < share;
}

static inline void seed_link(struct link *link, uint64_t seed) {
    link->chance = (seed + 1) * 0x9E3779B97F4A7C15ULL;
    for (int turn = 0; turn < 8; turn++) is_lost(link, 0.5); /* small seeds resemble each other */
}

static inline void hold(struct queue *queue, const uint8_t *bytes, size_t length, double due) {
    struct packet *packet = malloc(sizeof *packet + length);
    if (!packet) {
        perror("malloc");
        exit(1);
    }
    packet->next = NULL, packet->due = due, packet->length = length;
    memcpy(packet->bytes, bytes, length);
    if (!queue->first) queue->last = &queue->first;
    *queue->last = packet;
    queue->last = &packet->next;
}

/* Return the next packet that has arrived at time `t`, or NULL; it is the caller's to free. */
static inline struct packet *due(struct queue *queue, double t) {
    struct packet *packet = queue->first;
    if (!packet || packet->due > t) return NULL;
    queue->first = packet->next;
    return packet;
}

/* Return when the next packet arrives at either end; HUGE_VAL when none is under way. */
static inline double next_due(const struct link *link) {
    double in = link->in.first ? link->in.first->due : HUGE_VAL;
    double out = link->out.first ? link->out.first->due : HUGE_VAL;
    return in < out ? in : out;
}

static inline void drop_all(struct queue *queue) {
    for (struct packet *packet; (packet = queue->first); free(packet)) queue->first = packet->next;
}

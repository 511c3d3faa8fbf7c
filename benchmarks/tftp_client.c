/*
 * Fetches files by TFTP and prints as JSON how fast they came: the client of benchmarks/tftp.py.
 *
 * The rule: it must never be the limit. One process serves several clients with poll(); a lone
 * client on a link without faults blocks in recv() instead. Windows are taken with recvmmsg().
 * What arrives is compared with what must arrive: files repeat the bytes of --pattern.
 *
 * As a client it behaves like those in boards (RFC 1350, 2347, 2348, 7440):
 *   - a new socket, hence a new port, for each file;
 *   - after a second without progress it sends its last packet again;
 *   - with a window of 1, the last block, when it comes again, is acknowledged again;
 *   - with a larger one, a gap makes it acknowledge the last block that came in order, once for
 *     each such block, as U-Boot does: the second copy of a window sets off nothing.
 *
 * With --keep-last it does not acknowledge the last block, so that a server that has a process for
 * each transfer has it still when its processor time is read.
 *
 * With --loss and --delay every packet, the request too, is lost by chance or held back on its way,
 * in either direction; chance follows from --seed, so each server meets the same.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tftp_link.h"

enum { RRQ = 1, DATA = 3, ACK = 4, ERROR = 5, OACK = 6 };
enum { MAX_BLOCK = 65464, MAX_DATAGRAM = 65536, BATCH = 64, MAX_CLIENTS = 1024 };
static const uint32_t UNANSWERED = UINT32_MAX;
enum { RECEIVE_BUFFER = 32 << 20, MAX_TIMEOUTS = 20, NOT_GRANTED = 3 };

static const double TIMEOUT = 1.0;

static struct {
    struct sockaddr_in server;
    const char *name, *pattern_path;
    uint64_t size;
    unsigned blksize, window, clients, jobs;
    double seconds, loss, delay;
    uint64_t seed;
    bool keep_last;
} options = {.blksize = 512, .window = 1, .clients = 1, .jobs = 1};

struct client {
    int fd;
    bool connected, done;
    uint64_t received;
    uint32_t block, acknowledged, complained; /* counted on past 65535; `complained` is block + 1 */
    unsigned timeouts;
    double began, deadline;
    struct link link;
};

/* What one process did, added up over its clients. */
struct totals {
    uint64_t bytes, files;
    double transfer_seconds; /* the sum over all files; with several clients it exceeds the time */
};

static struct totals totals;
static uint8_t *pattern, request[1024];
static size_t period, request_length;
static bool request_has_options;
static uint8_t buffers[BATCH][MAX_DATAGRAM];
static struct mmsghdr batch[BATCH];
static struct iovec vectors[BATCH];

static _Noreturn void fail(int code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(code);
}

/* ---- the protocol ---- */

static bool lost(struct client *client) { return is_lost(&client->link, options.loss); }

static void put_on_wire(struct client *client, const uint8_t *bytes, size_t length) {
    const void *to = bytes[1] == RRQ ? &options.server : NULL;
    /* A refusal by the far side is only news of an earlier packet; the timeout deals with it. */
    (void)!sendto(client->fd, bytes, length, 0, to, to ? sizeof options.server : 0);
}

static void transmit(struct client *client, const uint8_t *bytes, size_t length, double t) {
    if (lost(client)) return;
    if (options.delay > 0) hold(&client->link.out, bytes, length, t + options.delay);
    else put_on_wire(client, bytes, length);
}

static void acknowledge(struct client *client, double t) {
    uint8_t ack[4] = {0, ACK, (uint8_t)(client->block >> 8), (uint8_t)client->block};
    client->acknowledged = client->block;
    transmit(client, ack, sizeof ack, t);
}

static void repeat(struct client *client, double t) {
    if (++client->timeouts > MAX_TIMEOUTS) fail(1, "no progress after %u tries", MAX_TIMEOUTS);
    client->deadline = t + TIMEOUT;
    if (client->connected) acknowledge(client, t);
    else transmit(client, request, request_length, t);
}

static void take_options(const uint8_t *bytes, size_t length) {
    unsigned blksize = 512, window = 1;
    const char *at = (const char *)bytes + 2, *end = (const char *)bytes + length;
    if (end[-1]) fail(1, "an OACK without an end");
    while (at < end) {
        const char *name = at, *value = at + strlen(at) + 1;
        if (value >= end) fail(1, "an OACK with a name and no value");
        if (!strcasecmp(name, "blksize")) blksize = (unsigned)atoi(value);
        if (!strcasecmp(name, "windowsize")) window = (unsigned)atoi(value);
        at = value + strlen(value) + 1;
    }
    if (blksize != options.blksize) fail(NOT_GRANTED, "grants a blksize of %u", blksize);
    if (window != options.window) fail(NOT_GRANTED, "grants a windowsize of %u", window);
}

static void take_data(struct client *client, const uint8_t *bytes, size_t length, double t) {
    uint16_t number = (uint16_t)(bytes[2] << 8 | bytes[3]);
    if (number != (uint16_t)(client->block + 1)) {
        bool again = options.window == 1 ? number == (uint16_t)client->block
                                         : client->complained != client->block + 1;
        client->complained = client->block + 1;
        if (again) acknowledge(client, t);
        return;
    }
    size_t count = length - 4;
    if (count > options.blksize) fail(1, "a block of %zu bytes", count);
    if (memcmp(bytes + 4, pattern + client->received % period, count))
        fail(1, "block %u holds other bytes than the file", client->block + 1);
    client->received += count;
    client->block++;
    client->timeouts = 0;
    client->done = count < options.blksize;
    bool due = client->block - client->acknowledged == options.window;
    if (client->done ? !options.keep_last : due) acknowledge(client, t);
}

static void take(struct client *client, const uint8_t *bytes, size_t length, double t) {
    if (length < 4 || client->done) return;
    client->deadline = t + TIMEOUT;
    switch (bytes[1]) {
    case DATA:
        if (client->acknowledged == UNANSWERED) fail(NOT_GRANTED, "answers without options");
        take_data(client, bytes, length, t);
        break;
    case OACK:
        if (client->block) break;
        take_options(bytes, length);
        acknowledge(client, t);
        break;
    case ERROR:
        fail(1, "ERROR %u: %.*s", bytes[3], (int)(length - 4), (const char *)bytes + 4);
    }
}

static void arrive(struct client *client, const uint8_t *bytes, size_t length, double t) {
    if (options.delay > 0) hold(&client->link.in, bytes, length, t + options.delay);
    else take(client, bytes, length, t);
}

/* Take what the socket holds; with no flags, wait for it. False when there is nothing. */
static bool receive(struct client *client, int flags, double t) {
    if (!client->connected) {
        struct sockaddr_in from;
        socklen_t size = sizeof from;
        ssize_t length = recvfrom(client->fd, buffers[0], MAX_DATAGRAM, flags,
                                  (struct sockaddr *)&from, &size);
        if (length < 0) return false;
        if (lost(client)) return true;
        if (connect(client->fd, (struct sockaddr *)&from, size)) fail(1, "connect: %m");
        client->connected = true;
        arrive(client, buffers[0], (size_t)length, t);
        return true;
    }
    if (options.window == 1) {
        ssize_t length = recv(client->fd, buffers[0], MAX_DATAGRAM, flags);
        if (length >= 0 && !lost(client)) arrive(client, buffers[0], (size_t)length, t);
        return length >= 0;
    }
    int count = recvmmsg(client->fd, batch, BATCH, flags | MSG_WAITFORONE, NULL);
    for (int i = 0; i < count; i++)
        if (!lost(client)) arrive(client, buffers[i], batch[i].msg_len, t);
    return count > 0;
}

/* ---- the course of a transfer ---- */

static void begin(struct client *client, double t) {
    struct timeval timeout = {(time_t)TIMEOUT, 0};
    int room = RECEIVE_BUFFER;
    client->fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (client->fd < 0) fail(1, "socket: %m");
    if (options.window > 1 &&
        setsockopt(client->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room))
        setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    client->connected = client->done = false;
    client->received = client->block = client->complained = client->timeouts = 0;
    client->acknowledged = request_has_options ? UNANSWERED : 0;
    client->began = t;
    client->deadline = t + TIMEOUT;
    transmit(client, request, request_length, t);
}

static void end(struct client *client, double t) {
    if (client->received != options.size)
        fail(1, "%llu bytes came, not %llu", (unsigned long long)client->received,
             (unsigned long long)options.size);
    close(client->fd);
    drop_all(&client->link.in);
    drop_all(&client->link.out);
    totals.bytes += client->received;
    totals.files++;
    totals.transfer_seconds += t - client->began;
}

static void run_alone(struct client *client, double until) {
    double t = now();
    do {
        begin(client, t);
        while (!client->done)
            if (!receive(client, 0, t)) repeat(client, now());
        end(client, t = now());
    } while (t < until);
}

static double next_event(const struct client *client) {
    double arrival = next_due(&client->link);
    return arrival < client->deadline ? arrival : client->deadline;
}

static void move(struct client *client, double t) {
    struct packet *packet;
    for (; (packet = due(&client->link.in, t)); free(packet))
        take(client, packet->bytes, packet->length, t);
    for (; (packet = due(&client->link.out, t)); free(packet))
        put_on_wire(client, packet->bytes, packet->length);
    if (!client->done && t >= client->deadline) repeat(client, t);
}

static void run_together(struct client *clients, unsigned count, double until) {
    struct pollfd polled[MAX_CLIENTS];
    unsigned running = count;
    for (unsigned i = 0; i < count; i++) {
        begin(&clients[i], now());
        polled[i] = (struct pollfd){.fd = clients[i].fd, .events = POLLIN};
    }
    while (running) {
        double t = now(), next = t + TIMEOUT;
        for (unsigned i = 0; i < count; i++)
            if (polled[i].fd >= 0 && next_event(&clients[i]) < next) next = next_event(&clients[i]);
        double left = next > t ? next - t : 0;
        struct timespec wait = {(time_t)left, (long)((left - (int)left) * 1e9)};
        ppoll(polled, count, &wait, NULL);
        t = now();
        for (unsigned i = 0; i < count; i++) {
            struct client *client = &clients[i];
            if (polled[i].fd < 0) continue;
            if (polled[i].revents) receive(client, MSG_DONTWAIT, t);
            move(client, t);
            if (!client->done || client->link.out.first) continue;
            end(client, t);
            polled[i].fd = -1;
            if (t >= until) running--;
            else begin(client, t), polled[i].fd = client->fd;
        }
    }
}

static void run_job(unsigned job) {
    static struct client clients[MAX_CLIENTS];
    unsigned count = options.clients / options.jobs + (job < options.clients % options.jobs);
    double until = now() + options.seconds;
    for (unsigned i = 0; i < count; i++) {
        seed_link(&clients[i].link, options.seed * MAX_CLIENTS + i * options.jobs + job);
    }
    if (count == 1 && !(options.delay > 0)) run_alone(clients, until);
    else run_together(clients, count, until);
}

/* ---- the beginning and the end ---- */

static void run_jobs(void) {
    int ends[2];
    if (pipe(ends)) fail(1, "pipe: %m");
    for (unsigned job = 0; job < options.jobs; job++) {
        pid_t pid = fork();
        if (pid < 0) fail(1, "fork: %m");
        if (pid) continue;
        run_job(job);
        _exit(write(ends[1], &totals, sizeof totals) != sizeof totals);
    }
    for (unsigned job = 0; job < options.jobs; job++) {
        int status;
        struct totals part;
        wait(&status);
        if (status) exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
        if (read(ends[0], &part, sizeof part) != sizeof part) fail(1, "read: %m");
        totals.bytes += part.bytes, totals.files += part.files;
        totals.transfer_seconds += part.transfer_seconds;
    }
}

static void prepare(void) {
    FILE *file = fopen(options.pattern_path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) fail(1, "%s: %m", options.pattern_path);
    period = (size_t)ftell(file);
    rewind(file);
    pattern = malloc(period + MAX_BLOCK);
    if (!pattern || fread(pattern, 1, period, file) != period) fail(1, "cannot read the pattern");
    fclose(file);
    for (size_t i = 0; i < MAX_BLOCK; i++) pattern[period + i] = pattern[i % period];
    char *at = (char *)request + 2;
    request[1] = RRQ;
    at += sprintf(at, "%.500s", options.name) + 1;
    at += sprintf(at, "octet") + 1;
    if (options.blksize != 512) {
        at += sprintf(at, "blksize") + 1;
        at += sprintf(at, "%u", options.blksize) + 1;
    }
    if (options.window != 1) {
        at += sprintf(at, "windowsize") + 1;
        at += sprintf(at, "%u", options.window) + 1;
    }
    request_has_options = options.blksize != 512 || options.window != 1;
    request_length = (size_t)((uint8_t *)at - request);
    for (int i = 0; i < BATCH; i++) {
        vectors[i] = (struct iovec){buffers[i], MAX_DATAGRAM};
        batch[i].msg_hdr.msg_iov = &vectors[i], batch[i].msg_hdr.msg_iovlen = 1;
    }
}

static void read_options(int count, char **words) {
    static const struct option known[] = {
        {"address", 1, 0, 'a'}, {"port", 1, 0, 'p'}, {"name", 1, 0, 'n'}, {"pattern", 1, 0, 'f'},
        {"size", 1, 0, 's'}, {"blksize", 1, 0, 'b'}, {"window", 1, 0, 'w'}, {"clients", 1, 0, 'c'},
        {"jobs", 1, 0, 'j'}, {"seconds", 1, 0, 't'}, {"loss", 1, 0, 'l'}, {"delay", 1, 0, 'd'},
        {"seed", 1, 0, 'r'}, {"keep-last", 0, 0, 'k'}, {0, 0, 0, 0}};
    options.server.sin_family = AF_INET;
    for (int letter; (letter = getopt_long(count, words, "", known, NULL)) != -1;) {
        switch (letter) {
        case 'a': if (!inet_aton(optarg, &options.server.sin_addr)) fail(2, "%s?", optarg); break;
        case 'p': options.server.sin_port = htons((uint16_t)atoi(optarg)); break;
        case 'n': options.name = optarg; break;
        case 'f': options.pattern_path = optarg; break;
        case 's': options.size = strtoull(optarg, NULL, 10); break;
        case 'b': options.blksize = (unsigned)atoi(optarg); break;
        case 'w': options.window = (unsigned)atoi(optarg); break;
        case 'c': options.clients = (unsigned)atoi(optarg); break;
        case 'j': options.jobs = (unsigned)atoi(optarg); break;
        case 't': options.seconds = atof(optarg); break;
        case 'l': options.loss = atof(optarg); break;
        case 'd': options.delay = atof(optarg); break;
        case 'r': options.seed = strtoull(optarg, NULL, 10); break;
        case 'k': options.keep_last = true; break;
        default: exit(2);
        }
    }
    if (!options.name || !options.pattern_path || !options.jobs || !options.clients ||
        options.clients > MAX_CLIENTS || options.blksize > MAX_BLOCK)
        fail(2, "needs --address, --port, --name, --pattern, --size; at most 1024 clients");
}

int main(int count, char **words) {
    read_options(count, words);
    prepare();
    double began = now();
    if (options.jobs == 1) run_job(0);
    else run_jobs();
    double seconds = now() - began, cpu = 0;
    for (int who = RUSAGE_CHILDREN; who <= RUSAGE_SELF; who++) {
        struct rusage used;
        getrusage(who, &used);
        cpu += (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
               (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    }
    printf("{\"seconds\": %.6f, \"transfer_seconds\": %.6f, \"bytes\": %llu, \"files\": %llu, "
           "\"cpu_seconds\": %.6f}\n",
           seconds, totals.transfer_seconds, (unsigned long long)totals.bytes,
           (unsigned long long)totals.files, cpu);
    return 0;
}

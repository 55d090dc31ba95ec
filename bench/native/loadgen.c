/*
 * Sends prepared datagrams to a UDP server on loopback, a window of them in flight, and counts the replies.
 * Many datagrams a system call, so that one core of it keeps a server on another core busy.
 *
 *   loadgen FILE SAMPLES PORT SOURCE_PORT WINDOW PREFIX SAMPLE_EVERY [ack | RATE]
 *
 * With a RATE so many are sent a second, whatever comes back, and the time from each to its reply is told. The reply
 * says by its branch (hexadecimal) or the end of its id (base 36) which datagram it belongs to.
 *
 * FILE: each datagram as two bytes of length (little-endian) and its bytes. SAMPLES: the file for one reply in
 * SAMPLE_EVERY, written in the same way. One line of JSON comes out.
 * With `ack` the datagrams are SIP INVITEs, and each final response is acknowledged (RFC 3261 17.1.1.3).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "load.h"

enum { BATCH = 64, REPLY_BYTES = 2048, ACK_BYTES = 1024 };

/* What was not answered for so long is lost. */
static const double SILENCE_S = 0.25;
static const double PAUSE_S = 10e-6;

static size_t append(uint8_t *to, size_t at, const uint8_t *from, const uint8_t *end) {
  if (!from || !end || at + (end - from) > ACK_BYTES) fail("ACK");
  memcpy(to + at, from, end - from);
  return at + (end - from);
}

/* The line of `message` that begins with `name`, with its line end. */
static size_t append_line(uint8_t *to, size_t at, const uint8_t *message, size_t length, const char *name) {
  const uint8_t *line = memmem(message, length, name, strlen(name));
  const uint8_t *end = line ? memchr(line, '\n', message + length - line) : NULL;
  return append(to, at, line, end ? end + 1 : NULL);
}

/* Request-URI and Via of the INVITE (its first two lines), From, To and Call-ID of the response. */
static size_t make_ack(uint8_t *ack, const struct iovec *datagrams, long count, const uint8_t *reply, size_t length) {
  static const char BRANCH[] = "branch=z9hG4bK", REST[] = "CSeq: 1 ACK\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
  char index[9] = "";
  const uint8_t *branch = memmem(reply, length, BRANCH, sizeof BRANCH - 1);
  if (branch) memcpy(index, branch + sizeof BRANCH - 1, 8);
  long which = strtol(index, NULL, 16);
  if (!branch || which >= count) fail("branch of a reply");
  const uint8_t *invite = datagrams[which].iov_base, *invite_end = invite + datagrams[which].iov_len;
  const uint8_t *first_end = memchr(invite, '\n', invite_end - invite);
  const uint8_t *via_end = first_end ? memchr(first_end + 1, '\n', invite_end - first_end - 1) : NULL;
  size_t at = append(ack, 0, (const uint8_t *)"ACK", (const uint8_t *)"ACK" + 3);
  at = append(ack, at, invite + strlen("INVITE"), via_end ? via_end + 1 : NULL);
  at = append_line(ack, at, reply, length, "From:");
  at = append_line(ack, at, reply, length, "To:");
  at = append_line(ack, at, reply, length, "Call-ID:");
  return append(ack, at, (const uint8_t *)REST, (const uint8_t *)REST + sizeof REST - 1);
}

/* All of them: what the socket does not take is tried again. */
static void send_all(int fd, struct mmsghdr *out, int count) {
  for (int at = 0; at < count;) {
    int n = sendmmsg(fd, out + at, count - at, 0);
    if (n < 0 && errno != EAGAIN && errno != ENOBUFS && errno != EINTR) fail("sendmmsg");
    if (n > 0) at += n;
  }
}

/* From each datagram to its reply; while it is on its way, when it was sent, negative. */
static double *times;

static long index_of(const uint8_t *reply, size_t length) {
  static const char BRANCH[] = "branch=z9hG4bK", ID[] = "\nid: ";
  char text[9] = "";
  const uint8_t *end = reply + length, *at = memmem(reply, length, BRANCH, sizeof BRANCH - 1);
  int base = at ? 16 : 36;
  if (at) at += sizeof BRANCH - 1;
  else if ((at = memmem(reply, length, ID, sizeof ID - 1)) && (at = memchr(at, '.', end - at))) at++;
  if (!at) return -1;
  memcpy(text, at, end - at < 8 ? end - at : 8);
  return strtol(text, NULL, base);
}

static void received_at(double now, const uint8_t *reply, size_t length, long count) {
  long which = index_of(reply, length);
  if (which < 0 || which >= count) fail("index of a reply");
  if (times[which] < 0) times[which] += now;
}

static int compare_times(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* What was not answered has waited until it was given up. */
static void print_latencies(long count) {
  static const struct { const char *name; double share; } POINTS[] = {
    {"p50", 0.5}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1},
  };
  for (long i = 0; i < count; i++) {
    if (times[i] < 0) times[i] = SILENCE_S;
  }
  qsort(times, count, sizeof *times, compare_times);
  printf("\"latencyUs\":{");
  for (int i = 0; i < 4; i++) {
    long at = POINTS[i].share * (count - 1);
    printf("%s\"%s\":%.1f", i ? "," : "", POINTS[i].name, times[at] * 1e6);
  }
  printf("},");
}

int main(int argc, char **argv) {
  if (argc < 8) return fprintf(stderr, "loadgen FILE SAMPLES PORT SOURCE_PORT WINDOW PREFIX SAMPLE_EVERY [ack | RATE]\n"), 2;
  double rate = argc > 8 ? atof(argv[8]) : 0;
  int is_acking = argc > 8 && !rate;
  long count, sent = 0, received = 0, good = 0, lost = 0;
  struct iovec *datagrams = read_datagrams(argv[1], &count);
  int fd = open_socket(atoi(argv[3]), atoi(argv[4]));
  long window = atol(argv[5]), in_flight = 0, sample_every = atol(argv[7]);
  const char *prefix = argv[6];
  size_t prefix_length = strlen(prefix);
  static struct mmsghdr out[BATCH], in[BATCH];
  static struct iovec places[BATCH];
  static uint8_t replies[BATCH][REPLY_BYTES], acks[BATCH][ACK_BYTES];
  static struct iovec ack_places[BATCH];
  for (int i = 0; i < BATCH; i++) {
    places[i] = (struct iovec){replies[i], REPLY_BYTES};
    in[i].msg_hdr = (struct msghdr){.msg_iov = &places[i], .msg_iovlen = 1};
  }

  if (rate && !(times = calloc(count, sizeof *times))) fail("memory");
  double start = seconds(), last = start;
  while (sent < count || in_flight > 0) {
    long wanted = rate ? (long)((seconds() - start) * rate) - sent : window - in_flight;
    if (wanted > count - sent) wanted = count - sent;
    if (wanted > BATCH) wanted = BATCH;
    for (int i = 0; i < wanted; i++) {
      out[i].msg_hdr = (struct msghdr){.msg_iov = &datagrams[sent + i], .msg_iovlen = 1};
    }
    if (wanted > 0) {
      double now = rate ? seconds() : 0;
      int n = sendmmsg(fd, out, wanted, 0);
      for (int i = 0; rate && i < n; i++) times[sent + i] = -now;
      if (n < 0 && errno != EAGAIN && errno != ENOBUFS && errno != EINTR) fail("sendmmsg");
      if (n > 0) sent += n, in_flight += n;
    }
    if (in_flight == 0) continue;
    int n = recvmmsg(fd, in, BATCH, MSG_DONTWAIT, NULL);
    if (n < 0) {
      if (errno != EAGAIN && errno != EINTR) fail("recvmmsg");
      /* Never asleep: to wake somebody up is expensive, and the server would have to pay for it. */
      double from = seconds(), now;
      while ((now = seconds()) < from + PAUSE_S) {
      }
      if (now - last > SILENCE_S) {
        lost += in_flight;
        in_flight = 0;
        last = now;
      }
      continue;
    }
    last = seconds();
    for (int i = 0; rate && i < n; i++) received_at(last, replies[i], in[i].msg_len, count);
    for (int i = 0; i < n; i++) {
      size_t length = in[i].msg_len;
      if (length >= prefix_length && !memcmp(replies[i], prefix, prefix_length)) good++;
      if (received++ % sample_every == 0) keep(replies[i], length);
      if (!is_acking) continue;
      ack_places[i] = (struct iovec){acks[i], make_ack(acks[i], datagrams, count, replies[i], length)};
      out[i].msg_hdr = (struct msghdr){.msg_iov = &ack_places[i], .msg_iovlen = 1};
    }
    if (is_acking) send_all(fd, out, n);
    in_flight = in_flight > n ? in_flight - n : 0;
  }
  write_samples(argv[2]);
  printf("{");
  if (rate) print_latencies(count);
  printf("\"sent\":%ld,\"received\":%ld,\"good\":%ld,\"lost\":%ld,\"seconds\":%.6f}\n", sent, received, good, lost,
         last - start);
  return 0;
}

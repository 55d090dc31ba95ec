/*
 * Sends prepared datagrams to a UDP server on loopback, a window of them in flight, and counts the replies.
 * Many datagrams a system call, so that one core of it keeps a server on another core busy.
 *
 *   loadgen FILE PORT SOURCE_PORT WINDOW PREFIX SAMPLE_EVERY
 *
 * FILE: each datagram as two bytes of length (little-endian) and its bytes. One line of JSON comes out.
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

enum { BATCH = 64, REPLY_BYTES = 2048 };

/* What was not answered for so long is lost. */
static const double SILENCE_S = 0.25;
static const double PAUSE_S = 10e-6;

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static struct iovec *read_datagrams(const char *path, long *count) {
  FILE *file = fopen(path, "rb");
  if (!file || fseek(file, 0, SEEK_END)) fail(path);
  long size = ftell(file), room = 1024, n = 0;
  uint8_t *bytes = malloc(size);
  struct iovec *datagrams = malloc(room * sizeof *datagrams);
  rewind(file);
  if (!bytes || !datagrams || fread(bytes, 1, size, file) != (size_t)size) fail(path);
  for (long at = 0; at + 2 <= size;) {
    long length = bytes[at] | bytes[at + 1] << 8;
    if (n == room && !(datagrams = realloc(datagrams, (room *= 2) * sizeof *datagrams))) fail("memory");
    datagrams[n++] = (struct iovec){bytes + at + 2, length};
    at += 2 + length;
  }
  fclose(file);
  *count = n;
  return datagrams;
}

static int open_socket(int port, int source_port) {
  int fd = socket(AF_INET, SOCK_DGRAM, 0), room = 4 << 20;
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(source_port)};
  struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(port)};
  here.sin_addr.s_addr = there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  if (bind(fd, (void *)&here, sizeof here) || connect(fd, (void *)&there, sizeof there)) fail("bind");
  return fd;
}

int main(int argc, char **argv) {
  if (argc != 7) return fprintf(stderr, "loadgen FILE PORT SOURCE_PORT WINDOW PREFIX SAMPLE_EVERY\n"), 2;
  long count, sent = 0, received = 0, good = 0, lost = 0;
  struct iovec *datagrams = read_datagrams(argv[1], &count);
  int fd = open_socket(atoi(argv[2]), atoi(argv[3]));
  long window = atol(argv[4]), in_flight = 0, sample_every = atol(argv[6]);
  const char *prefix = argv[5];
  size_t prefix_length = strlen(prefix);
  static struct mmsghdr out[BATCH], in[BATCH];
  static struct iovec places[BATCH];
  static uint8_t replies[BATCH][REPLY_BYTES];
  for (int i = 0; i < BATCH; i++) {
    places[i] = (struct iovec){replies[i], REPLY_BYTES};
    in[i].msg_hdr = (struct msghdr){.msg_iov = &places[i], .msg_iovlen = 1};
  }

  printf("{\"samples\":[");
  double start = seconds(), last = start;
  while (sent < count || in_flight > 0) {
    long wanted = window - in_flight;
    if (wanted > count - sent) wanted = count - sent;
    if (wanted > BATCH) wanted = BATCH;
    for (int i = 0; i < wanted; i++) {
      out[i].msg_hdr = (struct msghdr){.msg_iov = &datagrams[sent + i], .msg_iovlen = 1};
    }
    if (wanted > 0) {
      int n = sendmmsg(fd, out, wanted, 0);
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
    for (int i = 0; i < n; i++) {
      size_t length = in[i].msg_len;
      if (length >= prefix_length && !memcmp(replies[i], prefix, prefix_length)) good++;
      if (received++ % sample_every == 0) {
        printf(received == 1 ? "\"" : ",\"");
        for (size_t k = 0; k < length; k++) printf("%02x", replies[i][k]);
        printf("\"");
      }
    }
    in_flight = in_flight > n ? in_flight - n : 0;
  }
  printf("],\"sent\":%ld,\"received\":%ld,\"good\":%ld,\"lost\":%ld,\"seconds\":%.6f}\n", sent, received, good, lost,
         last - start);
  return 0;
}

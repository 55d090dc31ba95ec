/* What the generators of load share: datagrams from a file, a socket on loopback, and answers kept for the caller. */
#ifndef LOAD_H
#define LOAD_H
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

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

/* Replies that the caller wants to see: kept until the end, since writing them would hold up the load. */
static struct iovec *samples;
static long sample_count, sample_room;

static void keep(const void *reply, size_t length) {
  if (sample_count == sample_room) {
    sample_room = sample_room ? sample_room * 2 : 1024;
    if (!(samples = realloc(samples, sample_room * sizeof *samples))) fail("memory");
  }
  samples[sample_count] = (struct iovec){malloc(length), length};
  memcpy(samples[sample_count++].iov_base, reply, length);
}

/* As the datagrams stand in their file. */
static void write_samples(const char *path) {
  FILE *file = fopen(path, "wb");
  if (!file) fail(path);
  for (long i = 0; i < sample_count; i++) {
    size_t length = samples[i].iov_len;
    uint8_t head[2] = {length & 255, length >> 8};
    if (fwrite(head, 1, 2, file) != 2 || fwrite(samples[i].iov_base, 1, length, file) != length) fail(path);
  }
  if (fclose(file)) fail(path);
}

#endif

/*
 * Logs users in over UDP on loopback: Login, Challenge, Login with the proof, Welcome; so many of them at a time.
 * It sleeps while nothing comes, since the server and its database share the processor with it.
 *
 *   logins FILE PORT SOURCE_PORT WINDOW
 *
 * FILE, for each user: five fields, each as two bytes of length (little-endian) and its bytes: the first Login; the
 * second one, with 32 `N` for the nonce and 64 `P` for the proof; what the proof is over, with 32 `N`; the verifier as
 * 64 hex characters; the id of his requests. One line of JSON comes out: seconds, and nonce and cookie of each login.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { FIELDS = 5, REPLY_BYTES = 2048, NONCE = 32, PROOF = 64, COOKIE_MAX = 128, WINDOW_MAX = 1024, SILENCE_MS = 1000 };

typedef struct {
  uint8_t *bytes;
  size_t length;
} field;
typedef struct {
  field fields[FIELDS];
  char nonce[NONCE + 1], cookie[COOKIE_MAX];
} user;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

/* SHA-256, FIPS 180-4. */
static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t turn(uint32_t x, int by) { return x >> by | x << (32 - by); }

static void block(uint32_t state[8], const uint8_t *bytes) {
  uint32_t w[64], s[8];
  for (int i = 0; i < 16; i++) w[i] = (uint32_t)bytes[4 * i] << 24 | bytes[4 * i + 1] << 16 | bytes[4 * i + 2] << 8 | bytes[4 * i + 3];
  for (int i = 16; i < 64; i++) {
    uint32_t a = w[i - 15], b = w[i - 2];
    w[i] = w[i - 16] + (turn(a, 7) ^ turn(a, 18) ^ a >> 3) + w[i - 7] + (turn(b, 17) ^ turn(b, 19) ^ b >> 10);
  }
  memcpy(s, state, sizeof s);
  for (int i = 0; i < 64; i++) {
    uint32_t t1 = s[7] + (turn(s[4], 6) ^ turn(s[4], 11) ^ turn(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) + K[i] + w[i];
    uint32_t t2 = (turn(s[0], 2) ^ turn(s[0], 13) ^ turn(s[0], 22)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
    memmove(s + 1, s, 7 * sizeof *s);
    s[4] += t1;
    s[0] = t1 + t2;
  }
  for (int i = 0; i < 8; i++) state[i] += s[i];
}

/* Of one block of key pad and a message behind it. */
static void sha256(const uint8_t pad[64], const uint8_t *message, size_t length, uint8_t digest[32]) {
  uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  uint8_t last[128] = {0};
  uint64_t bits = (64 + length) * 8;
  block(state, pad);
  for (; length >= 64; message += 64, length -= 64) block(state, message);
  memcpy(last, message, length);
  last[length] = 0x80;
  size_t end = length < 56 ? 64 : 128;
  for (int i = 0; i < 8; i++) last[end - 1 - i] = bits >> 8 * i;
  block(state, last);
  if (end == 128) block(state, last + 64);
  for (int i = 0; i < 32; i++) digest[i] = state[i / 4] >> (24 - i % 4 * 8);
}

/* RFC 2104, with a key of one block. */
static void hmac(const uint8_t key[64], const uint8_t *message, size_t length, char hex[PROOF + 1]) {
  uint8_t inner[64], outer[64], digest[32];
  for (int i = 0; i < 64; i++) inner[i] = key[i] ^ 0x36, outer[i] = key[i] ^ 0x5c;
  sha256(inner, message, length, digest);
  sha256(outer, digest, sizeof digest, digest);
  for (int i = 0; i < 32; i++) sprintf(hex + 2 * i, "%02x", digest[i]);
}

static user *read_users(const char *path, long *count) {
  FILE *file = fopen(path, "rb");
  if (!file || fseek(file, 0, SEEK_END)) fail(path);
  long size = ftell(file), room = 1024, n = 0;
  uint8_t *at = malloc(size), *end = at + size;
  user *users = malloc(room * sizeof *users);
  rewind(file);
  if (!at || !users || fread(at, 1, size, file) != (size_t)size) fail(path);
  while (at < end) {
    if (n == room && !(users = realloc(users, (room *= 2) * sizeof *users))) fail("memory");
    for (int i = 0; i < FIELDS; i++) {
      users[n].fields[i] = (field){at + 2, at[0] | at[1] << 8};
      at += 2 + users[n].fields[i].length;
    }
    n++;
  }
  fclose(file);
  *count = n;
  return users;
}

static void put(field to, const char *place, const char *text, size_t length) {
  uint8_t *at = memmem(to.bytes, to.length, place, strlen(place));
  if (!at) fprintf(stderr, "no place for it\n"), exit(1);
  memcpy(at, text, length);
}

/* The value of a header, up to the end of its line. */
static size_t header(const char *reply, const char *name, char *value, size_t room) {
  const char *at = strstr(reply, name), *end = at ? strstr(at + 1, "\r\n") : NULL;
  size_t length = end ? (size_t)(end - at) - strlen(name) : 0;
  if (!end || length >= room) return 0;
  memcpy(value, at + strlen(name), length);
  value[length] = 0;
  return length;
}

static void answer_challenge(user *one, const char *reply) {
  static const char places[] = "NNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNN", *proofs = "PPPPPPPPPPPPPPPP";
  char proof[PROOF + 1];
  if (header(reply, "\r\nnonce: ", one->nonce, sizeof one->nonce) != NONCE) fprintf(stderr, "%s\n", reply), exit(1);
  put(one->fields[1], places, one->nonce, NONCE);
  put(one->fields[2], places, one->nonce, NONCE);
  hmac(one->fields[3].bytes, one->fields[2].bytes, one->fields[2].length, proof);
  put(one->fields[1], proofs, proof, PROOF);
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
  if (argc != 5) return fprintf(stderr, "logins FILE PORT SOURCE_PORT WINDOW\n"), 2;
  long count, next = 0, done = 0, slots[WINDOW_MAX], window = atol(argv[4]), in_flight = 0;
  user *users = read_users(argv[1], &count);
  int fd = socket(AF_INET, SOCK_DGRAM, 0), room = 4 << 20;
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[3]))};
  struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
  here.sin_addr.s_addr = there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  if (bind(fd, (void *)&here, sizeof here) || connect(fd, (void *)&there, sizeof there)) fail("bind");

  double start = seconds();
  while (done < count) {
    while (in_flight < window && next < count) {
      field first = users[next].fields[0];
      slots[in_flight++] = next++;
      send(fd, first.bytes, first.length, 0);
    }
    static char reply[REPLY_BYTES + 1], id[64];
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    if (poll(&readable, 1, SILENCE_MS) == 0) {
      /* Lost: each of them asks again as he did last. */
      for (long i = 0; i < in_flight; i++) {
        field last = users[slots[i]].fields[users[slots[i]].nonce[0] ? 1 : 0];
        send(fd, last.bytes, last.length, 0);
      }
      continue;
    }
    ssize_t length = recv(fd, reply, REPLY_BYTES, 0);
    if (length <= 0) continue;
    reply[length] = 0;
    size_t id_length = header(reply, "\r\nid: ", id, sizeof id);
    for (long i = 0; i < in_flight; i++) {
      user *one = &users[slots[i]];
      if (one->fields[4].length != id_length || memcmp(one->fields[4].bytes, id, id_length)) continue;
      if (!strncmp(reply, "Challenge ", 10) && !one->nonce[0]) {
        answer_challenge(one, reply);
        send(fd, one->fields[1].bytes, one->fields[1].length, 0);
      } else if (!strncmp(reply, "Welcome ", 8)) {
        if (!header(reply, "\r\ncookie: ", one->cookie, COOKIE_MAX)) fail("no cookie");
        slots[i] = slots[--in_flight];
        done++;
      } else if (strncmp(reply, "Challenge ", 10)) {
        return fprintf(stderr, "the server answers %s\n", reply), 1;
      }
      break;
    }
  }
  printf("{\"seconds\":%.6f,\"logins\":[", seconds() - start);
  for (long i = 0; i < count; i++) printf("%s[\"%s\",\"%s\"]", i ? "," : "", users[i].nonce, users[i].cookie);
  printf("]}\n");
  return 0;
}

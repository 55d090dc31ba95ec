/*
 * Telephones that all register at once, as after a crash of their server, and go on until each has his 200:
 * REGISTER, 401, REGISTER with Digest (MD5, qop=auth). Each behaves as RFC 3261 says: it repeats its request by timer E,
 * gives it up after timer F and begins anew, and after a 503 waits as long as Retry-After says.
 * It sleeps while nothing is due, since the server and its database share the processor with it.
 *
 *   storm PORT SOURCE_PORT PHONES FIRST_UID REALM PASSWORD_PREFIX SECONDS_MAX
 *
 * Their uids are numbers from FIRST_UID on, the password of each is PASSWORD_PREFIX and his uid. One line of JSON comes
 * out: how many are registered, the seconds to the last of them, and what happened on the way.
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

enum { BATCH = 64, BYTES = 1500, HEX = 32, T1_MS = 500, T2_MS = 4000, TIMER_F_MS = 64 * T1_MS, RETRY_MS = 5000 };
enum { TICK_MS = 10, SLOTS = 8192, NONE = -1 };

typedef struct {
  char ha1[HEX + 1], nonce[HEX + 1];
  uint32_t count, cseq, pause_ms;
  /* Of the request under way, 0 while it waits to begin one; and when its timer runs out. */
  int64_t began_ms, due_ms;
  /* Neighbours in the slot of its timer. */
  int32_t previous, next;
  uint8_t is_done;
} phone;

static const char *realm;
static int fd;
static long first_uid;
static phone *phones;
static int32_t slots[SLOTS];
static int64_t tick;
static long done, sent, repeated, challenged, refused, timed_out, refusals_max;
static char ha2[HEX + 1];

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

/* MD5, RFC 1321. */
static const uint32_t K[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501, 0x698098d8, 0x8b44f7af, 0xffff5bb1,
    0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821, 0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453,
    0xd8a1e681, 0xe7d3fbc8, 0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a, 0xfffa3942,
    0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70, 0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05,
    0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665, 0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d,
    0x85845dd1, 0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};
static const uint8_t SHIFTS[16] = {7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21};

static void block(uint32_t state[4], const uint8_t *bytes) {
  uint32_t words[16], a = state[0], b = state[1], c = state[2], d = state[3];
  memcpy(words, bytes, sizeof words);
  for (int i = 0; i < 64; i++) {
    uint32_t f, by = SHIFTS[i / 16 * 4 + i % 4];
    int at;
    if (i < 16) f = (b & c) | (~b & d), at = i;
    else if (i < 32) f = (d & b) | (~d & c), at = (5 * i + 1) % 16;
    else if (i < 48) f = b ^ c ^ d, at = (3 * i + 5) % 16;
    else f = c ^ (b | ~d), at = 7 * i % 16;
    f += a + K[i] + words[at];
    a = d, d = c, c = b, b += f << by | f >> (32 - by);
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d;
}

static void md5(const char *text, char hex[HEX + 1]) {
  uint32_t state[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
  size_t length = strlen(text), left = length;
  uint8_t last[128] = {0};
  for (; left >= 64; text += 64, left -= 64) block(state, (const uint8_t *)text);
  memcpy(last, text, left);
  last[left] = 0x80;
  size_t end = left < 56 ? 64 : 128;
  uint64_t bits = length * 8;
  memcpy(last + end - 8, &bits, 8);
  block(state, last);
  if (end == 128) block(state, last + 64);
  for (int i = 0; i < 16; i++) sprintf(hex + 2 * i, "%02x", ((uint8_t *)state)[i]);
}

/* Timers: one a phone, in the slot of its tick. */
static void unset(phone *one) {
  if (one->previous != NONE) phones[one->previous].next = one->next;
  else slots[one->due_ms / TICK_MS % SLOTS] = one->next;
  if (one->next != NONE) phones[one->next].previous = one->previous;
}

static void set(phone *one, int64_t due_ms) {
  int32_t *slot = &slots[due_ms / TICK_MS % SLOTS];
  one->due_ms = due_ms, one->previous = NONE, one->next = *slot;
  if (*slot != NONE) phones[*slot].previous = one - phones;
  *slot = one - phones;
}

static char out[BATCH][BYTES];
static struct iovec out_places[BATCH];
static struct mmsghdr out_messages[BATCH];
static int waiting;

static void flush(void) {
  for (int at = 0; at < waiting;) {
    int n = sendmmsg(fd, out_messages + at, waiting - at, 0);
    if (n < 0) fail("sendmmsg");
    at += n;
  }
  waiting = 0;
}

/* The same bytes for the same transaction, which is told by its CSeq. */
static void send_request(phone *one, int source_port) {
  static const char *CNONCE = "0a4f113b";
  long uid = first_uid + (one - phones);
  char authorization[512] = "";
  if (one->nonce[0]) {
    char text[256], response[HEX + 1];
    snprintf(text, sizeof text, "%s:%s:%08x:%s:auth:%s", one->ha1, one->nonce, one->count, CNONCE, ha2);
    md5(text, response);
    snprintf(authorization, sizeof authorization,
             "Authorization: Digest username=\"%ld\", realm=\"%s\", nonce=\"%s\", uri=\"sip:%s\", qop=auth, nc=%08x, "
             "cnonce=\"%s\", response=\"%s\", algorithm=MD5\r\n",
             uid, realm, one->nonce, realm, one->count, CNONCE, response);
  }
  int length = snprintf(
      out[waiting], BYTES,
      "REGISTER sip:%s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%d;rport;branch=z9hG4bK%08x%08x\r\nMax-Forwards: 70\r\n"
      "From: <sip:%ld@%s>;tag=t%ld\r\nTo: <sip:%ld@%s>\r\nCall-ID: c%ld-7f3a9c21@10.20.30.40\r\nCSeq: %u REGISTER\r\n"
      "Contact: <sip:%ld@10.20.30.40:5062;transport=udp>;expires=3600\r\n%sUser-Agent: bench-ua/1.0\r\n"
      "Content-Length: 0\r\n\r\n",
      realm, source_port, (unsigned)(one - phones), one->cseq, uid, realm, uid, uid, realm, uid, one->cseq, uid, authorization);
  out_places[waiting] = (struct iovec){out[waiting], length};
  out_messages[waiting].msg_hdr = (struct msghdr){.msg_iov = &out_places[waiting], .msg_iovlen = 1};
  sent++;
  if (++waiting == BATCH) flush();
}

static void begin(phone *one, int64_t now_ms, int source_port) {
  one->cseq++;
  if (one->nonce[0]) one->count++;
  one->began_ms = now_ms;
  one->pause_ms = T1_MS;
  send_request(one, source_port);
  set(one, now_ms + one->pause_ms);
}

static void on_timer(phone *one, int64_t now_ms, int source_port) {
  if (one->began_ms && now_ms - one->began_ms < TIMER_F_MS) {
    repeated++;
    send_request(one, source_port);
    one->pause_ms = one->pause_ms * 2 < T2_MS ? one->pause_ms * 2 : T2_MS;
    set(one, now_ms + one->pause_ms);
    return;
  }
  if (one->began_ms) timed_out++;
  begin(one, now_ms, source_port);
}

static void on_answer(char *bytes, int64_t now_ms, int source_port, long *refusals) {
  const char *branch = strstr(bytes, ";branch=z9hG4bK"), *at;
  unsigned index, cseq;
  if (!branch || sscanf(branch + strlen(";branch=z9hG4bK"), "%8x%8x", &index, &cseq) != 2) return;
  phone *one = &phones[index];
  /* An answer to what it has given up, or has an answer to. */
  if (one->is_done || cseq != one->cseq || !one->began_ms) return;
  int status = atoi(bytes + strlen("SIP/2.0 "));
  if (status < 200) return;
  unset(one);
  if (status == 200) {
    one->is_done = 1;
    done++;
  } else if (status == 401 && (at = strstr(bytes, "nonce=\"")) && at[strlen("nonce=\"") + HEX] == '"') {
    challenged++;
    memcpy(one->nonce, at + strlen("nonce=\""), HEX);
    one->count = 0;
    begin(one, now_ms, source_port);
  } else if (status == 503) {
    refused++;
    if (++refusals[index] > refusals_max) refusals_max = refusals[index];
    one->began_ms = 0;
    at = strstr(bytes, "\r\nRetry-After: ");
    set(one, now_ms + (at ? 1000 * atol(at + strlen("\r\nRetry-After: ")) : RETRY_MS));
  } else {
    fprintf(stderr, "the server answers %s\n", bytes);
    exit(1);
  }
}

int main(int argc, char **argv) {
  if (argc != 8) return fprintf(stderr, "storm PORT SOURCE_PORT PHONES FIRST_UID REALM PASSWORD_PREFIX SECONDS_MAX\n"), 2;
  int source_port = atoi(argv[2]), room = 16 << 20;
  long count = atol(argv[3]);
  double seconds_max = atof(argv[7]), last = 0;
  char text[256];
  first_uid = atol(argv[4]), realm = argv[5];
  phones = calloc(count, sizeof *phones);
  long *refusals = calloc(count, sizeof *refusals);
  double *times = calloc(count, sizeof *times);
  if (!phones || !refusals || !times) fail("memory");
  for (int i = 0; i < SLOTS; i++) slots[i] = NONE;
  snprintf(text, sizeof text, "REGISTER:sip:%s", realm);
  md5(text, ha2);
  for (long i = 0; i < count; i++) {
    snprintf(text, sizeof text, "%ld:%s:%s%ld", first_uid + i, realm, argv[6], first_uid + i);
    md5(text, phones[i].ha1);
  }
  fd = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(source_port)};
  struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
  here.sin_addr.s_addr = there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  /* Each phone has a buffer of its own. */
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room)) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  if (bind(fd, (void *)&here, sizeof here) || connect(fd, (void *)&there, sizeof there)) fail("bind");

  static char in[BATCH][BYTES + 1];
  static struct iovec in_places[BATCH];
  static struct mmsghdr in_messages[BATCH];
  for (int i = 0; i < BATCH; i++) {
    in_places[i] = (struct iovec){in[i], BYTES};
    in_messages[i].msg_hdr = (struct msghdr){.msg_iov = &in_places[i], .msg_iovlen = 1};
  }
  double start = seconds();
  for (long i = 0; i < count; i++) set(&phones[i], 0);
  while (done < count && seconds() - start < seconds_max) {
    int64_t now_ms = 1 + (int64_t)((seconds() - start) * 1000);
    /* Some of those that are due, so that answers are read meanwhile. */
    for (int i = 0; i < BATCH && tick <= now_ms / TICK_MS;) {
      int32_t at = slots[tick % SLOTS];
      while (at != NONE && phones[at].due_ms > now_ms) at = phones[at].next;
      if (at == NONE) {
        if (tick == now_ms / TICK_MS) break;
        tick++;
        continue;
      }
      unset(&phones[at]);
      on_timer(&phones[at], now_ms, source_port);
      i++;
    }
    int n = recvmmsg(fd, in_messages, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++) {
      long before = done;
      in[i][in_messages[i].msg_len] = 0;
      on_answer(in[i], now_ms, source_port, refusals);
      if (done > before) times[before] = last = seconds() - start;
    }
    flush();
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    if (n <= 0 && tick >= now_ms / TICK_MS) poll(&readable, 1, TICK_MS);
  }
  printf("{\"registered\":%ld,\"seconds\":%.3f,\"halfAfter\":%.3f,\"sent\":%ld,\"repeated\":%ld,\"challenged\":%ld,"
         "\"refused\":%ld,\"refusalsMax\":%ld,\"timedOut\":%ld}\n",
         done, last, times[count / 2], sent, repeated, challenged, refused, refusals_max, timed_out);
  return 0;
}

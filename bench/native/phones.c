/*
 * Telephones on loopback, all of them at one UDP socket: sends prepared SIP requests, a window of them under way, and
 * answers what comes for the phones. Many datagrams a system call, and never asleep (as loadgen.c).
 *
 *   phones FILE SAMPLES PORT SOURCE_PORT WINDOW BROUGHT SAMPLE_EVERY
 *
 * FILE: each request as two bytes of length (little-endian) and its bytes. BROUGHT: how many requests each of them
 * brings to the phones; it is over when it has its final answer and they have come, so that nobody runs ahead.
 *
 * An INVITE that comes is answered 180 and 200. The 200 to an INVITE that was sent gets an ACK and a BYE by its
 * Record-Route and Contact (RFC 3261 12.2.1.1), and the call has its final answer with that of the BYE.
 * One line of JSON comes out. SAMPLES: the file for one final answer in SAMPLE_EVERY, and of answers that are
 * no 2xx for all, up to 16; as FILE.
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
#include <unistd.h>

#include "load.h"

enum { BATCH = 64, BYTES = 4096, OUT = 4 * BATCH, ROUTES = 8, BAD_KEPT = 16 };

/* Nothing came for so long: what is under way is lost. */
static const double SILENCE_S = 3;
static const double PAUSE_S = 10e-6;

/* What is to be sent when the batch has been read. */
static char out_bytes[OUT][BYTES];
static struct iovec out_places[OUT];
static struct mmsghdr out[OUT];
static int out_count;

/* The first `out_count` are sent: what the socket does not take is tried again. */
static void flush(int fd) {
  for (int at = 0; at < out_count;) {
    int n = sendmmsg(fd, out + at, out_count - at, 0);
    if (n < 0 && errno != EAGAIN && errno != ENOBUFS && errno != EINTR) fail("sendmmsg");
    if (n > 0) at += n;
  }
  out_count = 0;
}

static void put(const void *bytes, size_t length) {
  if (out_count == OUT) fail("room");
  out_places[out_count] = (struct iovec){(void *)bytes, length};
  out[out_count].msg_hdr = (struct msghdr){.msg_iov = &out_places[out_count], .msg_iovlen = 1};
  out_count++;
}

/* Text in the next of out_bytes. */
static char *text;
static size_t text_length;

static void begin(const char *line) {
  if (out_count == OUT) fail("room");
  text = out_bytes[out_count];
  text_length = 0;
  text_length = stpcpy(text, line) - text;
}

static void add(const char *from, size_t length) {
  if (text_length + length > BYTES) fail("long message");
  memcpy(text + text_length, from, length);
  text_length += length;
}

static void add_text(const char *from) { add(from, strlen(from)); }

static void end(void) { put(text, text_length); }

/* The lines of a message that matter, each with its line end. */
struct head {
  struct iovec vias[ROUTES], routes[ROUTES], from, to, call_id, cseq, contact;
  int via_count, route_count;
};

static int is_line(const char *line, const char *name, size_t length) { return !memcmp(line, name, length); }

static struct head read_head(const char *message, size_t length) {
  struct head head = {0};
  const char *stop = message + length, *line = memchr(message, '\n', length);
  for (line = line ? line + 1 : stop; line < stop && *line != '\r';) {
    const char *lf = memchr(line, '\n', stop - line);
    if (!lf) fail("line end");
    struct iovec whole = {(void *)line, lf + 1 - line};
    if (is_line(line, "Via:", 4) && head.via_count < ROUTES) head.vias[head.via_count++] = whole;
    else if (is_line(line, "Record-Route:", 13) && head.route_count < ROUTES) head.routes[head.route_count++] = whole;
    else if (is_line(line, "From:", 5)) head.from = whole;
    else if (is_line(line, "To:", 3)) head.to = whole;
    else if (is_line(line, "Call-ID:", 8)) head.call_id = whole;
    else if (is_line(line, "CSeq:", 5)) head.cseq = whole;
    else if (is_line(line, "Contact:", 8)) head.contact = whole;
    line = lf + 1;
  }
  if (!head.via_count || !head.from.iov_len || !head.to.iov_len || !head.call_id.iov_len || !head.cseq.iov_len)
    fail("headers");
  return head;
}

static void add_line(struct iovec line) { add(line.iov_base, line.iov_len); }

static char contact[64];
static const char SDP[] = "v=0\r\no=- 1 1 IN IP4 10.20.30.42\r\ns=-\r\nc=IN IP4 10.20.30.42\r\nt=0 0\r\n"
                          "m=audio 40002 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";

/* As the phone that is asked answers. */
static void respond(const struct head *head, const char *status_line, int is_invite, int is_ok) {
  begin(status_line);
  for (int i = 0; i < head->via_count; i++) add_line(head->vias[i]);
  if (is_invite)
    for (int i = 0; i < head->route_count; i++) add_line(head->routes[i]);
  add_line(head->from);
  if (memmem(head->to.iov_base, head->to.iov_len, ";tag=", 5)) add_line(head->to);
  else {
    add(head->to.iov_base, head->to.iov_len - 2);
    add_text(";tag=phone\r\n");
  }
  add_line(head->call_id);
  add_line(head->cseq);
  if (is_invite) add_text(contact);
  if (is_invite && is_ok) {
    char lines[80];
    snprintf(lines, sizeof lines, "Content-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n", sizeof SDP - 1);
    add_text(lines);
    add_text(SDP);
  } else add_text("Content-Length: 0\r\n\r\n");
  end();
}

/* The request of the caller in the dialog that this 200 has made. */
static void in_dialog(const struct head *head, const char *method, int cseq) {
  static long branches;
  char line[256];
  const char *open = memchr(head->contact.iov_base, '<', head->contact.iov_len);
  const char *close = open ? memchr(open, '>', (char *)head->contact.iov_base + head->contact.iov_len - open) : NULL;
  if (!close) fail("Contact");
  begin(method);
  add_text(" ");
  add(open + 1, close - open - 1);
  /* Servers know the branches of the run before for half a minute. */
  snprintf(line, sizeof line, " SIP/2.0\r\nVia: SIP/2.0/UDP %.*s;rport;branch=z9hG4bKd%x.%lx\r\nMax-Forwards: 70\r\n",
           (int)strcspn(contact + strlen("Contact: <sip:phone@"), ">"), contact + strlen("Contact: <sip:phone@"),
           (unsigned)getpid(), branches++);
  add_text(line);
  for (int i = head->route_count; i-- > 0;) {
    add_text("Route:");
    add((char *)head->routes[i].iov_base + 13, head->routes[i].iov_len - 13);
  }
  add_line(head->from);
  add_line(head->to);
  add_line(head->call_id);
  snprintf(line, sizeof line, "CSeq: %d %s\r\nUser-Agent: bench-ua/1.0\r\nContent-Length: 0\r\n\r\n", cseq, method);
  add_text(line);
  end();
}

static long answered, brought, good, bad, sample_every;

static void take_response(const char *message, size_t length) {
  if (message[8] == '1') return;
  struct head head = read_head(message, length);
  int is_good = message[8] == '2';
  if (is_good && memmem(head.cseq.iov_base, head.cseq.iov_len, "INVITE", 6)) {
    in_dialog(&head, "ACK", 1);
    in_dialog(&head, "BYE", 2);
    return;
  }
  if (is_good) good++;
  if (is_good ? answered % sample_every == 0 : bad++ < BAD_KEPT) keep(message, length);
  answered++;
}

static void take_request(const char *message, size_t length) {
  brought++;
  if (is_line(message, "ACK ", 4)) return;
  struct head head = read_head(message, length);
  int is_invite = is_line(message, "INVITE ", 7);
  if (is_invite) respond(&head, "SIP/2.0 180 Ringing\r\n", 1, 0);
  respond(&head, "SIP/2.0 200 OK\r\n", is_invite, 1);
}

int main(int argc, char **argv) {
  if (argc != 8) return 2;
  long count, sent = 0, window = atol(argv[5]), brings = atol(argv[6]);
  struct iovec *requests = read_datagrams(argv[1], &count);
  int fd = open_socket(atoi(argv[3]), atoi(argv[4]));
  sample_every = atol(argv[7]);
  snprintf(contact, sizeof contact, "Contact: <sip:phone@127.0.0.1:%d>\r\n", atoi(argv[4]));
  static char messages[BATCH][BYTES];
  struct mmsghdr in[BATCH];
  struct iovec places[BATCH];
  for (int i = 0; i < BATCH; i++) {
    places[i] = (struct iovec){messages[i], BYTES};
    in[i].msg_hdr = (struct msghdr){.msg_iov = &places[i], .msg_iovlen = 1};
  }
  double start = seconds(), last = start;
  while (answered < count || brought < count * brings) {
    for (; sent < count && sent - answered < window && (brings == 0 || sent - brought / brings < window) && out_count < BATCH;
         sent++)
      put(requests[sent].iov_base, requests[sent].iov_len);
    flush(fd);
    int n = recvmmsg(fd, in, BATCH, MSG_DONTWAIT, NULL);
    if (n < 0) {
      if (errno != EAGAIN && errno != EINTR) fail("recvmmsg");
      /* Never asleep: to wake somebody up is expensive, and the server would have to pay for it. */
      double from = seconds(), now;
      while ((now = seconds()) < from + PAUSE_S) {
      }
      if (now - last > SILENCE_S) break;
      continue;
    }
    last = seconds();
    for (int i = 0; i < n; i++) {
      size_t length = in[i].msg_len;
      if (length < 12) fail("short message");
      if (is_line(messages[i], "SIP/2.0 ", 8)) take_response(messages[i], length);
      else take_request(messages[i], length);
    }
  }
  flush(fd);
  write_samples(argv[2]);
  printf("{\"received\":%ld,\"good\":%ld,\"lost\":%ld,\"brought\":%ld,\"seconds\":%.6f}\n", answered, good,
         count - answered, brought, last - start);
  return 0;
}

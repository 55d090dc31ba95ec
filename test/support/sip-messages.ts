/** Small well-formed SIP messages. */

export interface MessageOptions {
  readonly transport?: string;
  readonly branch?: string;
  readonly sentBy?: string;
  readonly callId?: string;
  readonly cseq?: number;
  readonly toTag?: string;
  readonly extra?: string;
  readonly body?: string;
}

export function sipRequest(method: string, options: MessageOptions = {}): string {
  return `${method} sip:bob@example.com SIP/2.0\r\n${headers(method, options)}`;
}

/** A response to the request of this method with the same options. */
export function sipResponse(status: number, method: string, options: MessageOptions = {}): string {
  return `SIP/2.0 ${status} Because\r\n${headers(method, options)}`;
}

function headers(method: string, options: MessageOptions): string {
  const { transport = 'UDP', sentBy = '192.0.2.1:5060', branch = 'z9hG4bK-1', callId = 'call-1', cseq = 1 } = options;
  const body = options.body ?? '';
  return [
    `Via: SIP/2.0/${transport} ${sentBy}${branch === '' ? '' : `;branch=${branch}`}`,
    'From: <sip:alice@example.com>;tag=from-1',
    `To: <sip:bob@example.com>${options.toTag === undefined ? '' : `;tag=${options.toTag}`}`,
    `Call-ID: ${callId}`,
    `CSeq: ${cseq} ${method}`,
    'Max-Forwards: 70',
    ...(options.extra === undefined ? [] : [options.extra]),
    `Content-Length: ${Buffer.byteLength(body)}`,
    '',
    body,
  ].join('\r\n');
}

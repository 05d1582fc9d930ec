// Tencent's own cryptography for the tests: one JSON request a line on stdin, one JSON answer a line on stdout.
import { createInterface } from 'node:readline';
import { decrypt, encrypt, getJsApiSignature, getSignature } from '@wecom/crypto';

const does = {
  encrypt: ({ key, message, id }) => encrypt(key, message, id),
  decrypt: ({ key, encrypted }) => {
    const { message, id, random } = decrypt(key, encrypted);
    // The package itself forgives a wrong padding, sloppy base64 and broken UTF-8.
    if (encrypt(key, message, id, random) !== encrypted) throw new Error('not what encrypt makes of it');
    return { message, id };
  },
  signature: ({ token, timestamp, nonce, encrypted }) => getSignature(token, timestamp, nonce, encrypted),
  jsapi: ({ url, ticket, nonce, timestamp }) => getJsApiSignature({ url, ticket, nonceStr: nonce, timestamp }).signature,
};

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    const { does: what, ...given } = JSON.parse(line);
    answer = { result: does[what](given) };
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

// A real OpenID Connect provider: node provider.mjs REDIRECT_URI. It prints its
// issuer, and lets anybody log in under any name; groups come from the name:
// alice is in acme-security. Each has a verified address but eve, whose is not.
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const server = createServer();
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;
const provider = new Provider(issuer, {
  clients: [{ client_id: 'patrol', client_secret: 'a-secret-of-the-client', redirect_uris: [process.argv[2]] }],
  claims: { openid: ['sub'], profile: ['preferred_username', 'groups'], email: ['email', 'email_verified'] },
  conformIdTokenClaims: false,
  cookies: { keys: ['a key of the test'] },
  features: { devInteractions: { enabled: true } },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({
      sub: id, preferred_username: id, groups: id === 'alice' ? ['acme-security'] : [],
      email: `${id}@provider.example`, email_verified: id !== 'eve',
    }),
  }),
});
server.on('request', provider.callback());
console.log(issuer);

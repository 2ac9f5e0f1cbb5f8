// A real server of RFC 7662 (and RFC 7009): node introspection.mjs. It prints its
// issuer. POST /mint with a JSON object {sub, scope, seconds} gives an access
// token to the test, as a flow that people go through would.
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const server = createServer();
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;
const provider = new Provider(issuer, {
  clients: [
    { client_id: 'patrol', client_secret: 'a secret: of the client', redirect_uris: [], grant_types: [], response_types: [] },
    { client_id: 'builder', client_secret: 'another-secret', redirect_uris: [], grant_types: [], response_types: [] },
  ],
  cookies: { keys: ['a key of the test'] },
  features: {
    introspection: { enabled: true, allowedPolicy: (_, client) => client.clientId === 'patrol' },
    revocation: { enabled: true, allowedPolicy: () => true },
  },
  ttl: { AccessToken: (_, token) => token.expiresIn },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
});

async function mint({ sub, scope, seconds }) {
  const client = await provider.Client.find('builder');
  const grant = new provider.Grant({ accountId: sub, clientId: client.clientId });
  grant.addOIDCScope(scope);
  const token = new provider.AccessToken({ accountId: sub, client, grantId: await grant.save(), gty: 'authorization_code', scope, expiresIn: seconds });
  return token.save();
}

const answer = provider.callback();
server.on('request', async (request, response) => {
  if (request.url !== '/mint') return answer(request, response);
  let text = '';
  for await (const part of request) text += part;
  response.end(await mint(JSON.parse(text)));
});
console.log(issuer);

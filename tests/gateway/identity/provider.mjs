// An identity provider that nobody here wrote (npm oidc-provider), told who its clients are.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const told = JSON.parse(process.env.PROVIDER);
const find = createRequire(`${told.modules}/`);
const { default: Provider } = await import(pathToFileURL(find.resolve('oidc-provider')));

const provider = new Provider(told.issuer, {
  jwks: { keys: told.keys },
  cookies: { keys: ['of a test'] },
  pkce: { required: () => true },
  clients: [
    {
      client_id: 'console', client_secret: 'of a test', redirect_uris: [told.callback],
      grant_types: ['authorization_code'], response_types: ['code'],
      id_token_signed_response_alg: 'ES256',
    },
    {
      client_id: 'machine', client_secret: 'of a test', redirect_uris: [], response_types: [],
      grant_types: ['client_credentials'], id_token_signed_response_alg: 'ES256',
    },
  ],
  clientBasedCORS: () => false,
  enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_ctx, resource) => ({
        scope: 'system:read process:time:read',
        audience: resource,
        accessTokenFormat: 'jwt',
        accessTokenTTL: told.seconds,
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
});
provider.listen(told.port, '127.0.0.1', () => console.log('listening'));

// An identity provider for the tests: `oidc-provider`, certified by the OpenID Foundation, with three people and one client.
// Arguments: its port, the address of the pages. Whoever is named in its form is let in, whatever the password.
import Provider from 'oidc-provider';

const [port, page] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const groups = { ada: ['owners'], kim: ['night-shift'], eve: ['guests'] };

const provider = new Provider(issuer, {
  clients: [{
    client_id: 'hearthwatch',
    client_secret: 'a-secret-of-the-test-alone',
    redirect_uris: [`${page}/login/callback`],
    grant_types: ['authorization_code', 'urn:ietf:params:oauth:grant-type:device_code'],
    response_types: ['code'],
    token_endpoint_auth_method: 'client_secret_post',
  }],
  claims: { openid: ['sub'], profile: ['preferred_username'], groups: ['groups'] },
  // As most providers do: the names and groups are in the ID token.
  conformIdTokenClaims: false,
  features: { deviceFlow: { enabled: true }, devInteractions: { enabled: true } },
  pkce: { required: () => false },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: `subject-of-${id}`, preferred_username: id, groups: groups[id] ?? [] }),
  }),
  cookies: { keys: ['a-key-of-the-test-alone'] },
});
provider.listen(Number(port), '127.0.0.1', () => console.log('listening'));

package clientauth

import (
	"context"
	"errors"

	"github.com/procura/procura/cert"
	"github.com/procura/procura/internal/clients"
	"github.com/procura/procura/internal/fapi"
)

// unmatched answers whoever shows a trusted certificate that is no registered
// client's under the name sent.
func unmatched() *fapi.Error {
	return fapi.InvalidClient("the client is not known, is registered for another authentication method, or the client certificate is not the registered one")
}

// byCertificate is tls_client_auth (RFC 8705 §2.1; MT-01 to MT-09). The certificate
// is judged before the client is looked up.
func (a *Authenticator) byCertificate(ctx context.Context, r Request) (Result, error) {
	id := r.Params.Get(paramClientID)
	switch {
	case r.Peer == nil:
		return Result{}, fapi.InvalidClient("no client authentication: send a client assertion, or use the mutual TLS endpoint with a client certificate")
	case id == "":
		return Result{}, fapi.InvalidClient("client_id is needed beside a client certificate")
	}
	if err := a.deps.Certs.Check(ctx, r.Peer); err != nil {
		return Result{}, untrusted(err, fapi.InvalidClient)
	}
	c, err := a.find(ctx, id, unmatched())
	if err != nil {
		return Result{}, err
	}
	if c.AuthMethod != fapi.AuthTLSClient {
		return Result{}, because(unmatched(), c, errors.New("no assertion came, and its method is "+c.AuthMethod))
	}
	if err := cert.MatchClient(c.Client, r.Peer.Leaf); err != nil {
		return Result{}, because(unmatched(), c, err)
	}
	return Result{Client: c}, nil
}

// untrusted turns a refused certificate into an answer of the given kind; that the
// verdict could not be reached is no refusal.
func untrusted(err error, kind func(string) *fapi.Error) *fapi.Error {
	if errors.Is(err, fapi.ErrUnavailable) {
		return fapi.TemporarilyUnavailable(err)
	}
	return kind(advice(err)).Because(err)
}

// advice says what to do about a refusal. It speaks only of the certificate, which
// its owner knows.
func advice(err error) string {
	var refusal *cert.Refusal
	if errors.As(err, &refusal) {
		switch refusal.Reason {
		case cert.ReasonExpired:
			return "the client certificate has expired"
		case cert.ReasonNotYetValid:
			return "the client certificate is not valid yet"
		case cert.ReasonExtKeyUsage, cert.ReasonKeyUsage:
			return "the client certificate is not meant for TLS client authentication"
		}
	}
	return "the client certificate is not accepted: it must be current, strong and issued by a certification authority that this server trusts"
}

// ownCertificate refuses a certificate that is not the client's, where its
// registration says which one is (G-12, MT-12; attack 45). Without such a
// registration nothing is compared here.
func ownCertificate(c *clients.Registered, p *cert.Peer) error {
	if p == nil || !cert.Registers(c.Client) {
		return nil
	}
	if err := cert.MatchClient(c.Client, p.Leaf); err != nil {
		return because(fapi.InvalidClient("the client certificate is not the one registered for this client"), c, err)
	}
	return nil
}

// Confirm returns what the access token of an authenticated client is bound to: the
// certificate of this connection, which must be there, trusted and, where the
// registration says so, the client's own (F1A-04, MT-11, MT-12). Every error is a
// *fapi.Error.
func (a *Authenticator) Confirm(ctx context.Context, c *clients.Registered, p *cert.Peer) (fapi.Confirmation, error) {
	kind := fapi.InvalidRequest
	if c.AuthMethod == fapi.AuthTLSClient {
		kind = fapi.InvalidClient
	}
	if p == nil {
		return fapi.Confirmation{}, because(kind("access tokens are bound to a client certificate: use the mutual TLS endpoint and present one"), c, &cert.Refusal{Reason: cert.ReasonMissing})
	}
	if err := a.deps.Certs.Check(ctx, p); err != nil {
		return fapi.Confirmation{}, untrusted(err, kind)
	}
	if err := ownCertificate(c, p); err != nil {
		return fapi.Confirmation{}, err
	}
	return fapi.Confirmation{X5T: p.Thumbprint}, nil
}

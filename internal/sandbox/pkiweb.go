package sandbox

import (
	"net/http"

	"github.com/procura/procura/cert/certtest"
)

// pkiHandler serves the issuers' certificates, which are public: plain http, DER.
func pkiHandler(p *pki) http.Handler {
	mux := http.NewServeMux()
	for path, ca := range map[string]*certtest.CA{"GET /servers-ca.crt": p.servers, "GET /clients-ca.crt": p.clients} {
		mux.HandleFunc(path, der(ca.Issuer.Raw))
	}
	mux.HandleFunc("GET /ca.crt", der(p.servers.Root.Raw))
	return mux
}

func der(raw []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/pkix-cert")
		_, _ = w.Write(raw) // the peer is gone when this fails
	}
}

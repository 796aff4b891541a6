package cert

// Reason codes, for the event, the audit trail and metrics. They never leave the
// building: a client is told in an OAuth error what to do.
const (
	ReasonMissing        = "cert_missing"
	ReasonMalformed      = "cert_malformed"
	ReasonNotYetValid    = "cert_not_yet_valid"
	ReasonExpired        = "cert_expired"
	ReasonWeakKey        = "cert_weak_key"
	ReasonWeakSignature  = "cert_weak_signature"
	ReasonUntrusted      = "issuer_untrusted"
	ReasonChainInvalid   = "chain_invalid"
	ReasonKeyUsage       = "key_usage_invalid"
	ReasonExtKeyUsage    = "eku_invalid"
	ReasonClientMismatch = "cert_client_mismatch"
)

// Refusal is the verdict on a certificate that is not accepted.
type Refusal struct {
	Reason string // one of the codes above
	Detail string // for the operator; may quote the certificate
}

// Error implements error.
func (r *Refusal) Error() string {
	if r.Detail == "" {
		return r.Reason
	}
	return r.Reason + ": " + r.Detail
}

func refuse(reason, detail string) *Refusal { return &Refusal{Reason: reason, Detail: detail} }

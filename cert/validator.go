package cert

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"
)

// maxSkew bounds the tolerance for other people's clocks.
const maxSkew = 10 * time.Minute

// Config says whom to trust.
type Config struct {
	Trust TrustSet
	Skew  time.Duration // tolerance for notBefore; zero for none
}

// Deps are a Validator's dependencies.
type Deps struct {
	Now func() time.Time
}

// Validator says whether a client's certificate is to be trusted. It says nothing
// about whose it is: see MatchClient. Safe for concurrent use.
type Validator struct {
	trust    *trust
	now      func() time.Time
	accepted *verdicts
	refused  *verdicts
}

// New returns a Validator, or says what is missing.
func New(cfg Config, deps Deps) (*Validator, error) {
	if deps.Now == nil {
		return nil, errors.New("a certificate validator needs a clock")
	}
	if cfg.Skew < 0 || cfg.Skew > maxSkew {
		return nil, fmt.Errorf("clock skew %s: allowed is up to %s", cfg.Skew, maxSkew)
	}
	t, err := newTrust(cfg.Trust, cfg.Skew)
	if err != nil {
		return nil, err
	}
	return &Validator{
		trust:    t,
		now:      deps.Now,
		accepted: newVerdicts(maxAccepted),
		refused:  newVerdicts(maxRefused),
	}, nil
}

// Check returns nil when p shows a certificate that the trust set covers, and a
// *Refusal otherwise. It asks per request: a resumed TLS session or a kept-alive
// connection skips what the handshake checks, so the verdict is remembered by the
// digest of the whole chain instead, never past the end of a validity period.
func (v *Validator) Check(ctx context.Context, p *Peer) error {
	if p == nil {
		return refuse(ReasonMissing, "")
	}
	// Validity periods are in full seconds, both ends included (RFC 5280 §4.1.2.5).
	now := v.now().Truncate(time.Second)
	key := v.key(p)
	for _, known := range []*verdicts{v.accepted, v.refused} {
		if verdict, ok := known.recall(key, now); ok {
			return verdict.err()
		}
	}
	verdict := v.judge(ctx, p, now)
	if verdict.refusal == nil {
		v.accepted.remember(key, verdict)
	} else {
		v.refused.remember(key, verdict)
	}
	return verdict.err()
}

func (v *Validator) key(p *Peer) [sha256.Size]byte {
	return sha256.Sum256(append(v.trust.version[:], p.digest[:]...))
}

// judge runs the table of checks. The verdict's end is the earliest end of
// anything that it rests on.
func (v *Validator) judge(ctx context.Context, p *Peer, now time.Time) verdict {
	e := &examination{peer: p, trust: v.trust, now: now, until: now.Add(maxVerdictAge)}
	for _, c := range checks() {
		if c.ask == nil {
			continue
		}
		if refusal := c.ask(ctx, e); refusal != nil {
			return verdict{refusal: refusal, taken: now, until: refusalEnd(refusal, now)}
		}
	}
	return verdict{taken: now, until: e.until}
}

// refusalEnd: what is not valid yet may be so a moment later.
func refusalEnd(r *Refusal, now time.Time) time.Time {
	if r.Reason == ReasonNotYetValid {
		return now
	}
	return now.Add(maxRefusalAge)
}

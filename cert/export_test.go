package cert

// Remembered returns how many verdicts a Validator holds, accepted and refused.
func (v *Validator) Remembered() (accepted, refused int) {
	return len(v.accepted.known), len(v.refused.known)
}

// MaxRefused is the bound on remembered refusals.
const MaxRefused = maxRefused

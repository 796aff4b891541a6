package jose_test

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"

	"github.com/procura/procura/internal/fapi"
	"github.com/procura/procura/internal/jose"
)

var (
	keyAlgs = []string{jose.RSAOAEP256, jose.ECDHES}
	encAlgs = []string{jose.A256GCM}
)

func decrypters(t testing.TB) []jose.Decrypter {
	t.Helper()
	return []jose.Decrypter{
		must[jose.Decrypter](t)(jose.NewDecrypter("rsa", jose.RSAOAEP256, rsaKey())),
		must[jose.Decrypter](t)(jose.NewDecrypter("ec", jose.ECDHES, ecKey())),
	}
}

func encryptionSet(t testing.TB) *jose.KeySet {
	return keySet(t,
		entry{"signing", "sig", "", &otherEC().PublicKey},
		entry{"other", "enc", "RSA-OAEP", &rsaKey().PublicKey},
		entry{"rsa", "enc", jose.RSAOAEP256, &rsaKey().PublicKey},
		entry{"ec", "", "", &ecKey().PublicKey},
	)
}

func TestEncryptDecrypt(t *testing.T) {
	for alg, kid := range map[string]string{jose.RSAOAEP256: "rsa", jose.ECDHES: "ec"} {
		for _, enc := range []string{jose.A256GCM, jose.A128CBCHS256} {
			sealed := must[string](t)(jose.Encrypt([]byte("inner"), encryptionSet(t), alg, enc, "JWT"))
			h, err := jose.ParseHeader(sealed)
			if err != nil || h != (jose.Header{Alg: alg, KID: kid, Cty: "JWT", Enc: enc}) || !jose.IsJWE(sealed) {
				t.Fatalf("header %+v %v", h, err)
			}
			plain, err := jose.Decrypt(sealed, decrypters(t), keyAlgs, []string{enc})
			if err != nil || string(plain) != "inner" {
				t.Errorf("%s %s: %q %v", alg, enc, plain, err)
			}
		}
	}
}

func TestEncryptFailsClosed(t *testing.T) {
	for name, tc := range map[string]struct {
		set      *jose.KeySet
		alg, enc string
		want     error
	}{
		"no set":           {nil, jose.ECDHES, jose.A256GCM, jose.ErrKey},
		"no fitting key":   {keySet(t, entry{"s", "sig", "", &ecKey().PublicKey}), jose.ECDHES, jose.A256GCM, jose.ErrKey},
		"key of other alg": {keySet(t, entry{"s", "enc", "RSA-OAEP", &rsaKey().PublicKey}), jose.RSAOAEP256, jose.A256GCM, jose.ErrKey},
		"RSA1_5":           {encryptionSet(t), "RSA1_5", jose.A256GCM, jose.ErrAlgorithm},
		"dir":              {encryptionSet(t), "dir", jose.A256GCM, jose.ErrAlgorithm},
		"a signing alg":    {encryptionSet(t), jose.ES256, jose.A256GCM, jose.ErrAlgorithm},
		"no alg":           {encryptionSet(t), "", jose.A256GCM, jose.ErrAlgorithm},
		"no enc":           {encryptionSet(t), jose.ECDHES, "", jose.ErrAlgorithm},
		"unknown enc":      {encryptionSet(t), jose.ECDHES, "A256CBC", jose.ErrAlgorithm},
	} {
		if out, err := jose.Encrypt([]byte("x"), tc.set, tc.alg, tc.enc, ""); out != "" || !errors.Is(err, tc.want) {
			t.Errorf("%s: %q %v", name, out, err)
		}
	}
}

// TestEncryptForOthers opens what we encrypt with the standard library alone.
func TestEncryptForOthers(t *testing.T) {
	sealed := must[string](t)(jose.Encrypt([]byte("inner"), encryptionSet(t), jose.RSAOAEP256, jose.A256GCM, "JWT"))
	p := strings.Split(sealed, ".")
	cek := must[[]byte](t)(rsa.DecryptOAEP(sha256.New(), nil, rsaKey(), decode64(t, p[1]), nil))
	if plain := openGCM(t, cek, p); string(plain) != "inner" {
		t.Errorf("RSA-OAEP-256: %q", plain)
	}
	sealed = must[string](t)(jose.Encrypt([]byte("inner"), encryptionSet(t), jose.ECDHES, jose.A256GCM, "JWT"))
	p = strings.Split(sealed, ".")
	var head struct{ EPK struct{ X, Y string } }
	if err := json.Unmarshal(decode64(t, p[0]), &head); err != nil {
		t.Fatal(err)
	}
	point := append([]byte{4}, append(decode64(t, head.EPK.X), decode64(t, head.EPK.Y)...)...)
	z := must[[]byte](t)(must[*ecdh.PrivateKey](t)(ecKey().ECDH()).ECDH(must[*ecdh.PublicKey](t)(ecdh.P256().NewPublicKey(point))))
	if plain := openGCM(t, concatKDF(z), p); string(plain) != "inner" {
		t.Errorf("ECDH-ES: %q", plain)
	}
}

// concatKDF is RFC 7518 §4.6.2 for A256GCM with empty party infos: one round.
func concatKDF(z []byte) []byte {
	msg := append(binary.BigEndian.AppendUint32(nil, 1), z...)
	msg = append(binary.BigEndian.AppendUint32(msg, uint32(len(jose.A256GCM))), jose.A256GCM...)
	msg = binary.BigEndian.AppendUint32(msg, 0)
	msg = binary.BigEndian.AppendUint32(msg, 0)
	sum := sha256.Sum256(binary.BigEndian.AppendUint32(msg, 256))
	return sum[:]
}

func gcm(t testing.TB, cek []byte) cipher.AEAD {
	return must[cipher.AEAD](t)(cipher.NewGCM(must[cipher.Block](t)(aes.NewCipher(cek))))
}

func openGCM(t testing.TB, cek []byte, p []string) []byte {
	t.Helper()
	return must[[]byte](t)(gcm(t, cek).Open(nil, decode64(t, p[2]), append(decode64(t, p[3]), decode64(t, p[4])...), []byte(p[0])))
}

// handmade makes a JWE for the RSA key whose header is exactly the given text.
func handmade(t testing.TB, header, plain string) []string {
	t.Helper()
	cek, iv := make([]byte, 32), make([]byte, 12)
	rand.Read(cek)
	key := must[[]byte](t)(rsa.EncryptOAEP(sha256.New(), rand.Reader, &rsaKey().PublicKey, cek, nil))
	out := gcm(t, cek).Seal(nil, iv, []byte(plain), []byte(b64([]byte(header))))
	return []string{b64([]byte(header)), b64(key), b64(iv), b64(out[:len(plain)]), b64(out[len(plain):])}
}

func TestDecryptHandmade(t *testing.T) {
	for _, header := range []string{
		`{"alg":"RSA-OAEP-256","enc":"A256GCM","kid":"rsa"}`,
		`{"alg":"RSA-OAEP-256","enc":"A256GCM"}`,
		`{"alg":"RSA-OAEP-256","enc":"A256GCM","typ":"JWE","x5t":"?","jku":"https://evil.example/"}`,
	} {
		plain, err := jose.Decrypt(strings.Join(handmade(t, header, "inner"), "."), decrypters(t), keyAlgs, encAlgs)
		if err != nil || string(plain) != "inner" {
			t.Errorf("%s: %q %v", header, plain, err)
		}
	}
}

// TestDecryptRefusesHeaders: attacks 30 to 32. Everything else about the objects
// is right, and the answer is always the one error.
func TestDecryptRefusesHeaders(t *testing.T) {
	for name, header := range map[string]string{
		"RSA1_5":              `{"alg":"RSA1_5","enc":"A256GCM"}`,
		"RSA-OAEP":            `{"alg":"RSA-OAEP","enc":"A256GCM"}`,
		"dir":                 `{"alg":"dir","enc":"A256GCM"}`,
		"A128KW":              `{"alg":"A128KW","enc":"A256GCM"}`,
		"PBES2":               `{"alg":"PBES2-HS256+A128KW","enc":"A256GCM","p2c":2147483648,"p2s":"AAAAAAAAAAA"}`,
		"ECDH-ES for RSA":     `{"alg":"ECDH-ES","enc":"A256GCM"}`,
		"signing alg":         `{"alg":"ES256","enc":"A256GCM"}`,
		"zip":                 `{"alg":"RSA-OAEP-256","enc":"A256GCM","zip":"DEF"}`,
		"crit":                `{"alg":"RSA-OAEP-256","enc":"A256GCM","crit":[]}`,
		"b64":                 `{"alg":"RSA-OAEP-256","enc":"A256GCM","b64":true}`,
		"no enc":              `{"alg":"RSA-OAEP-256"}`,
		"enc not on the list": `{"alg":"RSA-OAEP-256","enc":"A128CBC-HS256"}`,
		"enc unknown":         `{"alg":"RSA-OAEP-256","enc":"none"}`,
		"enc twice":           `{"alg":"RSA-OAEP-256","enc":"A256GCM","enc":"A256GCM"}`,
		"alg array":           `{"alg":["RSA-OAEP-256"],"enc":"A256GCM"}`,
		"alg case":            `{"alg":"rsa-oaep-256","enc":"A256GCM"}`,
		"kid unknown":         `{"alg":"RSA-OAEP-256","enc":"A256GCM","kid":"no"}`,
		"kid of the EC key":   `{"alg":"RSA-OAEP-256","enc":"A256GCM","kid":"ec"}`,
		"no JSON":             `RSA-OAEP-256`,
	} {
		t.Run(name, func(t *testing.T) {
			if plain, err := jose.Decrypt(strings.Join(handmade(t, header, "inner"), "."), decrypters(t), keyAlgs, encAlgs); err != jose.ErrDecrypt { //nolint:errorlint // exactly this value
				t.Fatalf("got %q %v", plain, err)
			}
		})
	}
}

// TestDecryptRefusesForms bends every part of a good object.
func TestDecryptRefusesForms(t *testing.T) {
	good := handmade(t, `{"alg":"RSA-OAEP-256","enc":"A256GCM"}`, "inner")
	with := func(i int, part string) string {
		p := append([]string(nil), good...)
		p[i] = part
		return strings.Join(p, ".")
	}
	flip := func(part string) string {
		raw := decode64(t, part)
		raw[0] ^= 1
		return b64(raw)
	}
	for name, token := range map[string]string{
		"empty":              "",
		"signed object":      rawJWS(t, `{"alg":"ES256"}`, `{}`, ecKey()),
		"six parts":          strings.Join(good, ".") + ".AA",
		"newline":            strings.Join(good, ".") + "\n",
		"too large":          with(3, strings.Repeat("A", fapi.MaxJWE)),
		"no key":             with(1, ""),
		"other key":          with(1, flip(good[1])),
		"short key":          with(1, "AAAA"),
		"no iv":              with(2, ""),
		"short iv":           with(2, "AAAA"),
		"long iv":            with(2, strings.Repeat("A", 24)),
		"other iv":           with(2, flip(good[2])),
		"no content":         with(3, ""),
		"other content":      with(3, flip(good[3])),
		"stray bits":         with(3, good[3]+"A"),
		"no tag":             with(4, ""),
		"short tag":          with(4, good[4][:16]),
		"tag with content":   with(4, good[4]+"AAAA"),
		"other tag":          with(4, flip(good[4])),
		"other header":       with(0, b64([]byte(`{"alg":"RSA-OAEP-256","enc":"A256GCM","typ":"x"}`))),
		"JSON serialisation": `{"protected":"` + good[0] + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			if plain, err := jose.Decrypt(token, decrypters(t), keyAlgs, encAlgs); err != jose.ErrDecrypt { //nolint:errorlint // exactly this value
				t.Fatalf("got %q %v", plain, err)
			}
		})
	}
}

// TestDecryptInvalidCurve is attack 32: points that are not on the curve, or on
// another one, as ephemeral keys.
func TestDecryptInvalidCurve(t *testing.T) {
	x, y := coordinates(t, ecKey())
	bigX, bigY := coordinates(t, p384Key())
	for name, epk := range map[string]string{
		"missing":       `null`,
		"not an object": `"epk"`,
		"empty":         `{}`,
		"off the curve": `{"kty":"EC","crv":"P-256","x":"` + b64(x) + `","y":"` + b64(x) + `"}`,
		"zero":          `{"kty":"EC","crv":"P-256","x":"` + b64(make([]byte, 32)) + `","y":"` + b64(make([]byte, 32)) + `"}`,
		"beyond p":      `{"kty":"EC","crv":"P-256","x":"` + b64([]byte(strings.Repeat("\xff", 32))) + `","y":"` + b64(y) + `"}`,
		"P-384":         `{"kty":"EC","crv":"P-384","x":"` + b64(bigX) + `","y":"` + b64(bigY) + `"}`,
		"no y":          `{"kty":"EC","crv":"P-256","x":"` + b64(x) + `"}`,
		"short x":       `{"kty":"EC","crv":"P-256","x":"AA","y":"` + b64(y) + `"}`,
		"private":       `{"kty":"EC","crv":"P-256","x":"` + b64(x) + `","y":"` + b64(y) + `","d":"` + b64(x) + `"}`,
		"RSA":           `{"kty":"RSA","n":"` + b64(rsaKey().N.Bytes()) + `","e":"AQAB"}`,
		"symmetric":     `{"kty":"oct","k":"AAAA"}`,
		"OKP":           `{"kty":"OKP","crv":"X25519","x":"` + b64(x) + `"}`,
		"nobody's":      `{"kty":"EC","crv":"P-256","x":"` + b64(x) + `","y":"` + b64(y) + `"}`,
		"apu not text":  `{"kty":"EC","crv":"P-256","x":"` + b64(x) + `","y":"` + b64(y) + `"},"apu":1`,
	} {
		t.Run(name, func(t *testing.T) {
			header := `{"alg":"ECDH-ES","enc":"A256GCM","kid":"ec","epk":` + epk + `}`
			token := strings.Join([]string{b64([]byte(header)), "", b64(make([]byte, 12)), "AAAA", b64(make([]byte, 16))}, ".")
			if _, err := jose.Decrypt(token, decrypters(t), keyAlgs, encAlgs); err != jose.ErrDecrypt { //nolint:errorlint // exactly this value
				t.Fatalf("got %v", err)
			}
		})
	}
}

func coordinates(t testing.TB, key *ecdsa.PrivateKey) (x, y []byte) {
	t.Helper()
	point := must[[]byte](t)(key.PublicKey.Bytes())[1:]
	return point[:len(point)/2], point[len(point)/2:]
}

// TestDecryptBoundsPlaintext: attack 30, really compressed, and a plaintext above
// the size of a JWT.
func TestDecryptBoundsPlaintext(t *testing.T) {
	bomb, err := gojose.NewEncrypter(gojose.A256GCM, gojose.Recipient{Algorithm: gojose.ECDH_ES, Key: &ecKey().PublicKey},
		&gojose.EncrypterOptions{Compression: gojose.DEFLATE})
	if err != nil {
		t.Fatal(err)
	}
	zipped := must[string](t)(must[*gojose.JSONWebEncryption](t)(bomb.Encrypt(make([]byte, 1<<20))).CompactSerialize())
	long := must[string](t)(jose.Encrypt(make([]byte, fapi.MaxJWT+1), encryptionSet(t), jose.ECDHES, jose.A256GCM, ""))
	if len(long) > fapi.MaxJWE || len(zipped) > fapi.MaxJWE {
		t.Fatal("the test does not reach the bound")
	}
	for _, token := range []string{zipped, long} {
		if _, err := jose.Decrypt(token, decrypters(t), keyAlgs, encAlgs); err != jose.ErrDecrypt { //nolint:errorlint // exactly this value
			t.Errorf("got %v", err)
		}
	}
	fits := must[string](t)(jose.Encrypt(make([]byte, fapi.MaxJWT), encryptionSet(t), jose.ECDHES, jose.A256GCM, ""))
	if plain, err := jose.Decrypt(fits, decrypters(t), keyAlgs, encAlgs); err != nil || len(plain) != fapi.MaxJWT {
		t.Errorf("a full JWT: %v", err)
	}
}

// TestNestingIsOneDeep is attack 31: what Decrypt gives back is read as a signed
// object by Verify, which takes no JWE and no unsigned JWT.
func TestNestingIsOneDeep(t *testing.T) {
	set := encryptionSet(t)
	twice := must[string](t)(jose.Encrypt(must[[]byte](t)([]byte(must[string](t)(jose.Encrypt([]byte("x"), set, jose.ECDHES, jose.A256GCM, "JWT"))), nil),
		set, jose.ECDHES, jose.A256GCM, "JWT"))
	unsigned := must[string](t)(jose.Encrypt([]byte(b64([]byte(`{"alg":"none"}`))+"."+b64([]byte(`{}`))+"."), set, jose.ECDHES, jose.A256GCM, "JWT"))
	for _, token := range []string{twice, unsigned} {
		inner, err := jose.Decrypt(token, decrypters(t), keyAlgs, encAlgs)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := jose.Verify(string(inner), clientSet(t), bothAlgs); !errors.Is(err, jose.ErrMalformed) {
			t.Errorf("got %v", err)
		}
	}
}

func TestNewDecrypterRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		kid, alg string
		key      crypto.PrivateKey
	}{
		"no kid":        {"", jose.ECDHES, ecKey()},
		"no key":        {"k", jose.ECDHES, nil},
		"RSA for ECDH":  {"k", jose.ECDHES, rsaKey()},
		"EC for OAEP":   {"k", jose.RSAOAEP256, ecKey()},
		"signing alg":   {"k", jose.ES256, ecKey()},
		"RSA1_5":        {"k", "RSA1_5", rsaKey()},
		"small RSA":     {"k", jose.RSAOAEP256, smallRSA()},
		"a public key":  {"k", jose.ECDHES, &ecKey().PublicKey},
		"symmetric key": {"k", "dir", []byte("0123456789abcdef0123456789abcdef")},
	} {
		if _, err := jose.NewDecrypter(tc.kid, tc.alg, tc.key); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	good := must[string](t)(jose.Encrypt([]byte("x"), encryptionSet(t), jose.ECDHES, jose.A256GCM, ""))
	for name, keys := range map[string][]jose.Decrypter{"none": nil, "empty": {{}, {KID: "ec", Alg: jose.ECDHES}}} {
		if _, err := jose.Decrypt(good, keys, keyAlgs, encAlgs); err != jose.ErrDecrypt { //nolint:errorlint // exactly this value
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := jose.Decrypt(good, decrypters(t), nil, nil); err == nil {
		t.Error("nothing listed, everything allowed")
	}
}

package identity

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

var sample = Core{
	ID: "1", Source: "example/uri", SpecVersion: "1.0", Type: "example.type.binary",
	DataContentType: "application/octet-stream", Data: []byte("\xf0\x9f\xa4\xa1"),
}

func b64(b [32]byte) string { return base64.StdEncoding.EncodeToString(b[:]) }

func TestDigestsAgreeWithTheDraft(t *testing.T) {
	one, two := Extension{"a", []byte("value1")}, Extension{"b", []byte("value2")}
	for want, got := range map[string][32]byte{
		"qCSeiZkS+hH9WiClfq6plfqYNVy2kvxWRfoBrLEzoDk=": CoreDigest(sample),
		"kU1P8bDaEnyNhglWzdTJNHh77khNWSZebBUxufVM2pU=": ExtDigest([]Extension{one}),
		"HB1pe431FoQZRsJbyLNMq0QaAvqPtmhdi8dHGShbJAU=": ExtDigest([]Extension{one, two}),
	} {
		if b64(got) != want {
			t.Errorf("got %s, want %s", b64(got), want)
		}
	}
}

func TestCoreDigestCutsTimeToSecondsInUTC(t *testing.T) {
	a, b, c := sample, sample, sample
	a.Time = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	b.Time = time.Date(2026, 1, 2, 5, 4, 5, 999999999, time.FixedZone("", 7200))
	c.Time = a.Time.Add(time.Second)
	if CoreDigest(a) != CoreDigest(b) || CoreDigest(a) == CoreDigest(c) || CoreDigest(a) == CoreDigest(sample) {
		t.Fatal("time is not cut to UTC seconds")
	}
}

var exts = map[string][]byte{"epoch": []byte("7"), "nonce": []byte("abc")}

func lookup(name string) []byte { return exts[name] }

func signed(t testing.TB) ([]byte, ed25519.PublicKey) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	env, err := Sign(key, sample, []Extension{{"nonce", exts["nonce"]}, {"epoch", exts["epoch"]}})
	if err != nil {
		t.Fatal(err)
	}
	return env, pub
}

func TestSignAndVerify(t *testing.T) {
	key := newKey(t)
	env, err := Sign(key, sample, nil)
	if err != nil {
		t.Fatal(err)
	}
	names, err := Verify(env, &key.PublicKey, sample, nil)
	if err != nil || names != nil {
		t.Fatalf("core only: %v, %v", names, err)
	}
	var parsed dsse.Envelope
	want, _ := Fingerprint(&key.PublicKey)
	if err := json.Unmarshal(env, &parsed); err != nil || parsed.Signatures[0].KeyID != want {
		t.Fatalf("key id %v, %v", parsed.Signatures, err)
	}
	env, pub := signed(t)
	names, err = Verify(env, pub, sample, lookup)
	if err != nil || !slices.Equal(names, []string{"nonce", "epoch"}) {
		t.Fatalf("with extensions: %v, %v", names, err)
	}
}

func TestVerifyRefusesAChangedEvent(t *testing.T) {
	env, pub := signed(t)
	for sentence, change := range map[string]func(*Core){
		"another id": func(c *Core) { c.ID = "2" }, "another source": func(c *Core) { c.Source = "x" },
		"another version": func(c *Core) { c.SpecVersion = "0.3" }, "another type": func(c *Core) { c.Type = "x" },
		"another content type": func(c *Core) { c.DataContentType = "" }, "a schema": func(c *Core) { c.DataSchema = "x" },
		"a subject": func(c *Core) { c.Subject = "x" }, "a time": func(c *Core) { c.Time = t0 },
		"other data": func(c *Core) { c.Data = []byte("x") }, "no data": func(c *Core) { c.Data = nil },
	} {
		t.Run(sentence, func(t *testing.T) {
			core := sample
			change(&core)
			_, err := Verify(env, pub, core, lookup)
			wantCode(t, err, ProofCoreMismatch)
		})
	}
	for sentence, look := range map[string]func(string) []byte{
		"a removed extension": func(string) []byte { return nil },
		"a changed extension": func(n string) []byte { return append([]byte("x"), lookup(n)...) },
		"no extensions":       nil,
	} {
		t.Run(sentence, func(t *testing.T) {
			_, err := Verify(env, pub, sample, look)
			wantCode(t, err, ProofExtMismatch)
		})
	}
	_, err := Verify(env, &newKey(t).PublicKey, sample, lookup)
	wantCode(t, err, ProofSignature)
	_, err = Verify(env, nil, sample, lookup)
	wantCode(t, err, ProofSignature)
}

func TestVerifyRefusesABadEnvelope(t *testing.T) {
	key := newKey(t)
	core := b64(CoreDigest(sample))
	// seal signs any payload, so that only the payload is at fault.
	seal := func(payload string) string {
		sig, err := signPAE(key, dsse.PAE(ProofPayloadTypeURI, []byte(payload)))
		if err != nil {
			t.Fatal(err)
		}
		env, _ := json.Marshal(dsse.Envelope{
			PayloadType: ProofPayloadTypeURI, Payload: base64.StdEncoding.EncodeToString([]byte(payload)),
			Signatures: []dsse.Signature{{Sig: base64.StdEncoding.EncodeToString(sig)}},
		})
		return string(env)
	}
	names := func(list string) string {
		return seal(`{"core":"` + core + `","ext":"` + core + `","signedextattrs":` + list + `}`)
	}
	good := seal(`{"core":"` + core + `","later":1}`)
	many := `"signatures":[` + strings.Repeat(`{"sig":""},`, maxSignatures) + `{"sig":""}],"x":[`
	for sentence, c := range map[string]struct {
		env  string
		want fleet.Reason
	}{
		"unknown fields are passed over":           {strings.Replace(good, "{", `{"later":{},`, 1), ""},
		"no proof":                                 {"", ProofMissing},
		"over 64 KiB":                              {good + strings.Repeat(" ", maxEnvelopeBytes), ProofTooLarge},
		"not UTF-8":                                {good + "\xff", ProofMalformed},
		"not JSON":                                 {"x", ProofMalformed},
		"JSON null":                                {"null", ProofMalformed},
		"something after the envelope":             {good + "{}", ProofMalformed},
		"a field name in another case":             {strings.Replace(good, `"payload"`, `"Payload"`, 1), ProofMalformed},
		"no signatures":                            {strings.Replace(good, `"signatures"`, `"signatures":[],"x"`, 1), ProofMalformed},
		"too many signatures":                      {strings.Replace(good, `"signatures":[`, many, 1), ProofMalformed},
		"a signature that is not base64":           {strings.Replace(good, `"sig":"`, `"sig":"!`, 1), ProofMalformed},
		"another payload type":                     {strings.Replace(good, "v0.1", "v0.2", 1), ProofPayloadType},
		"a payload that is not base64":             {strings.Replace(good, `"payload":"`, `"payload":"!`, 1), ProofPayload},
		"a payload that is not JSON":               {seal("x"), ProofPayload},
		"a payload without core":                   {seal("{}"), ProofPayload},
		"a core of another length":                 {seal(`{"core":"AAAA"}`), ProofPayload},
		"a core that is null":                      {seal(`{"core":null}`), ProofPayload},
		"ext without names":                        {seal(`{"core":"` + core + `","ext":"` + core + `"}`), ProofPayload},
		"names without ext":                        {seal(`{"core":"` + core + `","signedextattrs":["a"]}`), ProofPayload},
		"names that are no list":                   {names(`"a"`), ProofPayload},
		"a name that stands twice":                 {names(`["a","a"]`), ProofNames},
		"the name of a core attribute":             {names(`["subject"]`), ProofNames},
		"the name of the proof":                    {names(`["dssematerial"]`), ProofNames},
		"a core attribute in another case":         {names(`["Subject"]`), ProofNames},
		"a name that is null":                      {names(`[null]`), ProofNames},
		"a signature that was tampered with":       {tamper(good), ProofSignature},
		"an ext digest of other values is refused": {names(`["a"]`), ProofExtMismatch},
	} {
		t.Run(sentence, func(t *testing.T) {
			_, err := Verify([]byte(c.env), &key.PublicKey, sample, nil)
			wantCode(t, err, c.want)
		})
	}
}

// tamper replaces the signature by a well-formed one of zeros.
func tamper(env string) string {
	i := strings.Index(env, `"sig":"`)
	return env[:i] + `"sig":"AAAA"}]}`
}

func TestSignRefuses(t *testing.T) {
	key := newKey(t)
	for sentence, ext := range map[string][]Extension{
		"a name twice": {{"a", nil}, {"a", nil}}, "a core name": {{"time", nil}}, "the proof's name": {{ProofAttribute, nil}},
		"an empty name": {{"", nil}}, "upper case": {{"A", nil}},
	} {
		t.Run(sentence, func(t *testing.T) {
			_, err := Sign(key, sample, ext)
			wantCode(t, err, ProofNames)
		})
	}
	_, err := Sign(key, sample, []Extension{{strings.Repeat("a", maxEnvelopeBytes), nil}})
	wantCode(t, err, ProofTooLarge)
	if _, err := Sign(nil, sample, nil); err == nil {
		t.Fatal("signed without a key")
	}
}

func FuzzVerify(f *testing.F) {
	env, pub := signed(f)
	f.Add(env)
	f.Add([]byte(`{"payload":"","payloadType":"","signatures":[{"sig":""}]}`))
	want := payloadOf(env)
	f.Fuzz(func(t *testing.T, in []byte) {
		_, err := Verify(in, pub, sample, lookup)
		if err != nil && fleet.ReasonOf(err) == "" {
			t.Fatalf("an error without a code: %v", err)
		}
		if err == nil && !bytes.Equal(payloadOf(in), want) {
			t.Fatal("a payload that was never signed is accepted")
		}
	})
}

func payloadOf(env []byte) []byte {
	m, err := parseEnvelope(env)
	if err != nil {
		return nil
	}
	return m.payload
}

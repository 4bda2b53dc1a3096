package identity

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

// material is what an envelope claims, before anything of it is believed.
type material struct {
	payload []byte
	sigs    [][]byte
	core    []byte
	ext     []byte // nil when the proof covers the core only
	names   []string
}

// Verify checks that the holder of pub vouched for core, and returns the names
// of the extensions that the proof covers besides; nil when there are none.
// An extension that is not among them is hearsay.
//
// lookup gives the canonical bytes of an extension of the event, and nil for
// one that it lacks; a nil lookup is an event without extensions. core and
// lookup must come from the same event as the envelope.
//
// It checks, in this order: that there is an envelope; its size; UTF-8; that
// it is DSSE; the payload type; the payload; the names; the signature, over
// the payload bytes that came; the core; the extensions. The first check that
// fails is reported, as a *Refusal.
func Verify(envelope []byte, pub crypto.PublicKey, core Core, lookup func(name string) []byte) (signed []string, err error) {
	m, err := parseEnvelope(envelope)
	if err != nil {
		return nil, err
	}
	pae := dsse.PAE(ProofPayloadTypeURI, m.payload)
	if !slices.ContainsFunc(m.sigs, func(sig []byte) bool { return verifyPAE(pub, pae, sig) }) {
		return nil, refuse(ProofSignature, "no signature of the envelope is by the node's key")
	}
	if want := CoreDigest(core); !bytes.Equal(m.core, want[:]) {
		return nil, refuse(ProofCoreMismatch, "the proof was made for an event with other attributes or other data")
	}
	if m.ext == nil {
		return nil, nil
	}
	ext := make([]Extension, len(m.names))
	for i, name := range m.names {
		ext[i].Name = name
		if lookup != nil {
			ext[i].Value = lookup(name)
		}
	}
	if want := ExtDigest(ext); !bytes.Equal(m.ext, want[:]) {
		return nil, refuse(ProofExtMismatch, "a signed extension was changed, removed or added")
	}
	return m.names, nil
}

// verifyPAE ignores the key id of a signature: nobody vouches for it.
func verifyPAE(pub crypto.PublicKey, pae, sig []byte) bool {
	if !supportedKey(pub) {
		return false
	}
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(pae)
		return ecdsa.VerifyASN1(k, sum[:], sig)
	case ed25519.PublicKey:
		return ed25519.Verify(k, pae, sig)
	}
	return false
}

func parseEnvelope(data []byte) (*material, error) {
	switch {
	case len(data) == 0:
		return nil, refuse(ProofMissing, "the event carries no proof")
	case len(data) > maxEnvelopeBytes:
		return nil, tooLarge(len(data))
	case !utf8.Valid(data):
		return nil, refuse(ProofMalformed, "the envelope is not UTF-8")
	}
	env, sigs, err := decodeEnvelope(data)
	if err != nil {
		return nil, refuse(ProofMalformed, "the envelope is not DSSE: "+err.Error())
	}
	if env.PayloadType != ProofPayloadTypeURI {
		return nil, refuse(ProofPayloadType, fmt.Sprintf("the payload type is %.100q, not %q", env.PayloadType, ProofPayloadTypeURI))
	}
	m := &material{sigs: sigs}
	if m.payload, err = env.DecodeB64Payload(); err != nil {
		return nil, refuse(ProofPayload, "the payload is not base64")
	}
	if err := m.readPayload(); err != nil {
		return nil, refuse(ProofPayload, err.Error())
	}
	if err := checkNames(m.names); err != nil {
		return nil, err
	}
	return m, nil
}

// decodeEnvelope reads names exactly as written, where encoding/json would
// take "PAYLOAD" for "payload": what two readers understand differently must
// not be signed once and read twice. Names that it does not know it passes over.
func decodeEnvelope(data []byte) (*dsse.Envelope, [][]byte, error) {
	var env dsse.Envelope
	var raw []map[string]json.RawMessage
	err := decodeObject(data, map[string]any{
		"payloadType": &env.PayloadType, "payload": &env.Payload, "signatures": &raw,
	})
	if err != nil {
		return nil, nil, err
	}
	if len(raw) == 0 || len(raw) > maxSignatures {
		return nil, nil, fmt.Errorf("it has %d signatures, 1 to %d are allowed", len(raw), maxSignatures)
	}
	sigs := make([][]byte, len(raw))
	for i, entry := range raw {
		var text string
		if err := decodeField(entry, "sig", &text); err != nil {
			return nil, nil, err
		}
		if sigs[i], err = decodeBase64(text); err != nil {
			return nil, nil, errors.New("a signature is not base64")
		}
	}
	return &env, sigs, nil
}

func (m *material) readPayload() error {
	if !utf8.Valid(m.payload) {
		return errors.New("the payload is not UTF-8")
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(m.payload, &fields); err != nil || fields == nil {
		return errors.New("the payload is not a JSON object")
	}
	var err error
	if m.core, err = digestField(fields, "core"); err != nil {
		return err
	}
	_, hasExt := fields["ext"]
	_, hasNames := fields["signedextattrs"]
	if hasExt != hasNames {
		return errors.New("the payload has one of ext and signedextattrs, not both or neither")
	}
	if !hasExt {
		return nil
	}
	if m.ext, err = digestField(fields, "ext"); err != nil {
		return err
	}
	return decodeField(fields, "signedextattrs", &m.names)
}

func digestField(fields map[string]json.RawMessage, name string) ([]byte, error) {
	var text string
	if err := decodeField(fields, name, &text); err != nil {
		return nil, err
	}
	digest, err := decodeBase64(text)
	if err != nil || len(digest) != sha256.Size {
		return nil, fmt.Errorf("%s is not the base64 of %d bytes", name, sha256.Size)
	}
	return digest, nil
}

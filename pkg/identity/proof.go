package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

const (
	// ProofPayloadTypeURI is the DSSE payload type of a proof.
	ProofPayloadTypeURI = "https://cloudevents.io/verifiability/dsse/v0.1"
	// ProofAttribute is the event attribute that carries the envelope.
	ProofAttribute = "dssematerial"

	maxEnvelopeBytes = 64 << 10
	// maxSignatures bounds the work that one envelope can ask for.
	maxSignatures = 16
)

// Core is what every proof covers: the context attributes and the data of one
// event. An empty field is an attribute that is not set; the two cannot be
// told apart in a proof.
type Core struct {
	ID, Source, SpecVersion, Type        string
	DataContentType, DataSchema, Subject string
	// Time counts in UTC and whole seconds, cut; zero means not set.
	Time time.Time
	// Data is the raw bytes.
	Data []byte
}

// Extension is a further attribute that a proof covers.
type Extension struct {
	// Name is in lower-case letters and digits.
	Name string
	// Value is the canonical bytes of the attribute's value.
	Value []byte
}

// proofPayload is the signed JSON. Ext and Names are both set or both unset.
type proofPayload struct {
	Core  string   `json:"core"`
	Ext   string   `json:"ext,omitempty"`
	Names []string `json:"signedextattrs,omitempty"`
}

// CoreDigest is the digest of the digests of the attributes and the data, in
// the order that the draft gives them.
func CoreDigest(c Core) [sha256.Size]byte {
	when := ""
	if !c.Time.IsZero() {
		when = c.Time.UTC().Format("2006-01-02T15:04:05Z") // Format cuts, it does not round
	}
	var all []byte
	for _, s := range []string{c.ID, c.Source, c.SpecVersion, c.Type, c.DataContentType, c.DataSchema, c.Subject, when} {
		sum := sha256.Sum256([]byte(s))
		all = append(all, sum[:]...)
	}
	sum := sha256.Sum256(c.Data)
	return sha256.Sum256(append(all, sum[:]...))
}

// ExtDigest is the digest of the digests of the values, in the order given.
func ExtDigest(ext []Extension) [sha256.Size]byte {
	all := make([]byte, 0, len(ext)*sha256.Size)
	for _, e := range ext {
		sum := sha256.Sum256(e.Value)
		all = append(all, sum[:]...)
	}
	return sha256.Sum256(all)
}

// Sign returns the JSON of a DSSE envelope in which the holder of key, ECDSA
// P-256 or Ed25519, vouches for core and ext. The key id is the key's
// Fingerprint. A name in ext that repeats or is no extension's is a *Refusal
// with code ProofNames.
func Sign(key crypto.Signer, core Core, ext []Extension) ([]byte, error) {
	payload, err := newPayload(core, ext)
	if err != nil {
		return nil, fmt.Errorf("sign event: %w", err)
	}
	sig, err := signPAE(key, dsse.PAE(ProofPayloadTypeURI, payload))
	if err != nil {
		return nil, fmt.Errorf("sign event: %w", err)
	}
	keyID, err := Fingerprint(key.Public())
	if err != nil {
		return nil, fmt.Errorf("sign event: %w", err)
	}
	envelope, err := json.Marshal(dsse.Envelope{
		PayloadType: ProofPayloadTypeURI,
		Payload:     base64.StdEncoding.EncodeToString(payload),
		Signatures:  []dsse.Signature{{KeyID: keyID, Sig: base64.StdEncoding.EncodeToString(sig)}},
	})
	if err != nil {
		return nil, fmt.Errorf("sign event: %w", err)
	}
	if len(envelope) > maxEnvelopeBytes {
		return nil, fmt.Errorf("sign event: %w", tooLarge(len(envelope)))
	}
	return envelope, nil
}

func newPayload(core Core, ext []Extension) ([]byte, error) {
	digest := CoreDigest(core)
	p := proofPayload{Core: base64.StdEncoding.EncodeToString(digest[:])}
	if len(ext) > 0 {
		for _, e := range ext {
			p.Names = append(p.Names, e.Name)
		}
		if err := checkNames(p.Names); err != nil {
			return nil, err
		}
		digest := ExtDigest(ext)
		p.Ext = base64.StdEncoding.EncodeToString(digest[:])
	}
	return json.Marshal(p)
}

// signPAE follows DSSE's own signers: ECDSA signs the SHA-256 of the encoding
// in ASN.1, Ed25519 the encoding itself.
func signPAE(key crypto.Signer, pae []byte) ([]byte, error) {
	if key == nil || !supportedKey(key.Public()) {
		return nil, errors.New("the key is neither ECDSA P-256 nor Ed25519")
	}
	if _, ok := key.Public().(*ecdsa.PublicKey); ok {
		sum := sha256.Sum256(pae)
		return key.Sign(rand.Reader, sum[:], crypto.SHA256)
	}
	return key.Sign(rand.Reader, pae, crypto.Hash(0))
}

func tooLarge(n int) error {
	return refuse(ProofTooLarge, fmt.Sprintf("the envelope is %d bytes long, at most %d are allowed", n, maxEnvelopeBytes))
}

package receiver

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/pkg/identity"
)

// Attributes that a signed post carries besides its proof.
const (
	// ChainAttribute is the sender's chain: its PEM, the leaf first and the root
	// left out, in base64 for URLs without padding.
	ChainAttribute = "sendercert"
	// AudienceAttribute is whom the post is meant for, as Audience spells it.
	AudienceAttribute = "audience"
)

// Limits of one post.
const (
	// MaxBodyBytes is the default limit of a body.
	MaxBodyBytes = 1 << 20
	// maxAttribute bounds an attribute other than chain and proof.
	maxAttribute = 2048
	maxLong      = 96 << 10 // of chain and proof: base64 of 64 KiB, and a little
	// maxExtensions bounds their number, proof included.
	maxExtensions = 64
	specVersion   = "1.0"
)

// Post is a CloudEvent of version 1.0. An empty field is an attribute that is not
// set.
type Post struct {
	ID, Source, Type                     string
	DataContentType, DataSchema, Subject string
	Time                                 time.Time
	// Extensions by name, in the canonical form of their values, without the
	// proof. Of a verified post only those that the proof covers.
	Extensions map[string]string
	// Proof is the envelope of dssematerial; nil: the post is not signed.
	Proof []byte
	// Data is the bytes as they came.
	Data []byte
}

func (p *Post) core() identity.Core {
	return identity.Core{
		ID: p.ID, Source: p.Source, SpecVersion: specVersion, Type: p.Type,
		DataContentType: p.DataContentType, DataSchema: p.DataSchema, Subject: p.Subject, Time: p.Time, Data: p.Data,
	}
}

// extension is the bytes that a proof covers; nil where it is not set.
func (p *Post) extension(name string) []byte {
	if v, ok := p.Extensions[name]; ok {
		return []byte(v)
	}
	return nil
}

// attribute is set as it stands in a header or in a JSON string.
func (p *Post) set(name, value string) error {
	limit := maxAttribute
	if name == ChainAttribute || name == identity.ProofAttribute {
		limit = maxLong
	}
	switch {
	case len(value) > limit:
		return refuse(TooLarge, fmt.Sprintf("attribute %.40s has %d bytes, at most %d are allowed", name, len(value), limit))
	case value == "":
		return refuse(BadEvent, fmt.Sprintf("attribute %.40s is empty", name))
	case !attributeName(name):
		return refuse(BadEvent, fmt.Sprintf("%.40q is no attribute name", name))
	}
	switch name {
	case "specversion":
		if value != specVersion {
			return refuse(BadEvent, fmt.Sprintf("specversion is %.20q, not %q", value, specVersion))
		}
		return nil
	case "time":
		return p.setTime(value)
	case identity.ProofAttribute:
		return p.setProof(value)
	case "data":
		return refuse(BadEvent, "data is no attribute")
	}
	if field := p.field(name); field != nil {
		*field = value
		return nil
	}
	return p.extend(name, value)
}

func (p *Post) field(name string) *string {
	switch name {
	case "id":
		return &p.ID
	case "source":
		return &p.Source
	case "type":
		return &p.Type
	case "datacontenttype":
		return &p.DataContentType
	case "dataschema":
		return &p.DataSchema
	case "subject":
		return &p.Subject
	}
	return nil
}

func (p *Post) setTime(value string) error {
	t, err := time.Parse(time.RFC3339Nano, value)
	if err != nil || t.IsZero() {
		return refuse(BadEvent, fmt.Sprintf("time %.40q is not of RFC 3339", value))
	}
	p.Time = t.UTC()
	return nil
}

// setProof keeps a proof that is there apart from none: stripped of its content
// it would look like an unsigned post.
func (p *Post) setProof(value string) error {
	envelope, err := base64.StdEncoding.Strict().DecodeString(value)
	if err != nil || len(envelope) == 0 {
		return refuse(BadEvent, identity.ProofAttribute+" is not base64")
	}
	p.Proof = envelope
	return nil
}

func (p *Post) extend(name, value string) error {
	if len(p.Extensions) >= maxExtensions {
		return refuse(TooLarge, fmt.Sprintf("it has more than %d extensions", maxExtensions))
	}
	if p.Extensions == nil {
		p.Extensions = make(map[string]string)
	}
	p.Extensions[name] = value
	return nil
}

// whole refuses a post that lacks what every CloudEvent has.
func (p *Post) whole() error {
	for _, must := range []struct{ name, value string }{{"id", p.ID}, {"source", p.Source}, {"type", p.Type}} {
		if must.value == "" {
			return refuse(BadEvent, "attribute "+must.name+" is missing")
		}
	}
	return nil
}

func attributeName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}

package events

import (
	"encoding/json"
	"testing"
)

func BenchmarkEncode(b *testing.B) {
	for _, typ := range []Type{TypeNodeHeartbeat, TypeEnrollNode, TypePlanDecided} {
		b.Run(string(typ), func(b *testing.B) {
			e, _ := example(b, typ)
			e.Body = nil
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Encode(DefaultSubjects(), e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, typ := range []Type{TypeNodeHeartbeat, TypeEnrollNode, TypePlanDecided, TypeCredentialIssued, TypeCredentialProved, TypeNodeAppeared} {
		b.Run(string(typ), func(b *testing.B) {
			m := binaryOf(b, typ)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Decode(DefaultSubjects(), m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkJSON is the part of decoding that is the standard library's.
func BenchmarkJSON(b *testing.B) {
	for _, typ := range []Type{TypeNodeHeartbeat, TypeEnrollNode, TypePlanDecided} {
		b.Run(string(typ), func(b *testing.B) {
			m := binaryOf(b, typ)
			b.ReportAllocs()
			for b.Loop() {
				if err := json.Unmarshal(m.Data, forms[typ].fresh()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCheckSchema(b *testing.B) {
	m := binaryOf(b, TypeNodeHeartbeat)
	b.ReportAllocs()
	for b.Loop() {
		if err := CheckSchema(TypeNodeHeartbeat, m.Data); err != nil {
			b.Fatal(err)
		}
	}
}

package grants

import "testing"

// BenchmarkCheck is what a request with a good token costs more than one without.
func BenchmarkCheck(b *testing.B) {
	w := newWorld(b)
	token := w.a.redeem(w.a.login()).AccessToken
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.a.Check(b.Context(), token, resource); err != nil {
			b.Fatal(err)
		}
	}
}

package random

import "math"

// ln2Hi and ln2Lo add up to the logarithm of 2; ln2Hi has 32 bits, so that its product with an exponent is exact.
const (
	ln2Hi = 0x1.62e42feep-1
	ln2Lo = 0x1.a39ef35793c76p-33
)

// Log returns the natural logarithm of x, as math.Log does, equal bit for bit on every architecture.
func Log(x float64) float64 {
	switch {
	case x < 0 || x != x:
		return math.NaN()
	case x == 0:
		return math.Inf(-1)
	case x > math.MaxFloat64:
		return x
	}
	m, e := math.Frexp(x) // 1/2 <= m < 1
	if m < math.Sqrt2/2 {
		m *= 2
		e--
	}
	// log(1+f) = f - f²/2 + s·(f²/2 + r) with s = f/(2+f): the series 2·(s³/3 + s⁵/5 + ...) of the inverse
	// hyperbolic tangent, written so that its leading terms are exact. |s| < 0.172.
	f := m - 1
	s := f / (2 + f)
	z := float64(s * s)
	r := 2.0 / 23
	for _, c := range [...]float64{2.0 / 21, 2.0 / 19, 2.0 / 17,
		2.0 / 15, 2.0 / 13, 2.0 / 11, 2.0 / 9, 2.0 / 7, 2.0 / 5, 2.0 / 3} {
		r = c + float64(z*r)
	}
	r = float64(z * r)
	half := float64(0.5 * float64(f*f))
	k := float64(e)
	return float64(k*ln2Hi) - ((half - (float64(s*(half+r)) + float64(k*ln2Lo))) - f)
}

// Exp returns e to the power x, as math.Exp does, equal bit for bit on every architecture.
func Exp(x float64) float64 {
	const (
		overflow  = 709.782712893384
		underflow = -745.1332191019412
	)
	switch {
	case x != x:
		return x
	case x > overflow:
		return math.Inf(1)
	case x < underflow:
		return 0
	}
	k := math.Floor(float64(x*(1/math.Ln2)) + 0.5)
	hi := x - float64(k*ln2Hi)
	lo := float64(k * ln2Lo)
	r := hi - lo
	// exp(r) = 1 + 2r/(q-r) with q = r·coth(r/2), a series with the Bernoulli numbers; |r| < 0.347. Here c = r-(q-2).
	z := float64(r * r)
	c := 1.0/6 + float64(z*(-1.0/360+float64(z*(1.0/15120+float64(z*(-1.0/604800+float64(z*(1.0/23950080+
		float64(z*(-691.0/653837184000))))))))))
	c = r - float64(z*c)
	y := 1 - ((lo - float64(r*c)/(2-c)) - hi)
	return math.Ldexp(y, int(k))
}

// Pow returns x to the power y for x >= 0, equal bit for bit on every architecture.
func Pow(x, y float64) float64 {
	if y == 0 || x == 1 {
		return 1
	}
	return Exp(float64(y * Log(x)))
}

// Sin2Pi returns the sine of x turns, equal bit for bit on every architecture: Sin2Pi(0.25) is 1.
func Sin2Pi(x float64) float64 {
	x -= math.Floor(x) // [0, 1]
	sign := 1.0
	if x >= 0.5 {
		x -= 0.5
		sign = -1
	}
	if x > 0.25 {
		x = 0.5 - x
	}
	if x > 0.125 {
		a := float64((0.25 - x) * (2 * math.Pi))
		return sign * (1 + taylor(a, 18)) // cosine
	}
	a := float64(x * (2 * math.Pi))
	return sign * (a + float64(a*taylor(a, 17)))
}

// taylor is the series of cosine (n even) or of sine over a (n odd), less its leading 1, up to the power n.
func taylor(a, n float64) float64 {
	z := float64(a * a)
	s := 0.0
	for ; n >= 2; n -= 2 {
		s = float64(z*(-1-s)) / float64(n*(n-1))
	}
	return s
}

// gamma returns Γ(x) for x >= 1 to about 1e-14: Stirling's series for ln Γ, after shifting x to where it converges.
func gamma(x float64) float64 {
	shift := 1.0
	for x < 16 {
		shift *= x
		x++
	}
	i := 1 / x
	z := float64(i * i)
	series := float64(i * (1.0/12 - float64(z*(1.0/360-float64(z*(1.0/1260-float64(z*(1.0/1680-float64(z/1188)))))))))
	lnGamma := float64((x-0.5)*Log(x)) - x + 0.91893853320467274178 + series // ½ ln 2π
	return Exp(lnGamma) / shift
}

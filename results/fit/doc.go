// Package fit fits families of distributions to a sample of times by maximum likelihood, and says how well each fits.
//
//	fits, err := fit.Families(seconds, fit.Options{Seed: 1})
//	fmt.Println(fits[0]) // {distribution: lognormal, mean: 80.1ms, scv: 0.31}
//
// The families are those of scenario files that have a density and few parameters: exponential, shifted-exponential, gamma,
// erlang (a gamma distribution whose shape is a whole number), lognormal, weibull, hyperexponential with two phases, and
// uniform. A family is left out where its likelihood has no greatest value within what a scenario may say: a
// hyperexponential distribution of times that spread less than exponential ones, a gamma distribution of times that hardly
// spread at all.
//
// # Order
//
// Fits are in ascending order of Akaike's criterion, 2k - 2 log L with k parameters (Akaike, IEEE Transactions on Automatic
// Control 19(6), 1974). It compares families, and does not say that the best of them is any good. The likelihoods of the
// shifted exponential and the uniform distribution are greatest at an end of the sample, where the criterion's theory does
// not hold: it is a little in their favour.
//
// # Goodness of fit
//
// KS is the distance of Kolmogorov and Smirnov, the greatest difference between the distribution functions of the fit and of
// the sample. Its tables assume parameters that were known before, so P is found by parametric bootstrap (Stute, González
// Manteiga and Presedo Quindimil, Metrika 40, 1993): samples of the same size are drawn from the fit, and the family is
// fitted to each of them anew. P is (1+f)/(1+n), where n of them had a fit and f of these were at least as far from it: never
// 0, since the sample itself counts. Of samples of the family itself, one in twenty has a P below 0.05. What is drawn depends
// on the seed alone.
//
// Both assume that the values are independent of each other.
package fit

//! Ridge regression by Cholesky factorisation, in f64 and in a fixed order of operations: same input, same bits.

/// Solves `(G + λI) w = b` for the symmetric positive semi-definite `gram` (row-major `n × n`, overwritten). None when
/// the matrix is not positive definite even so, or something is not finite.
pub fn solve(gram: &mut [f64], right: &[f64], lambda: f64) -> Option<Vec<f64>> {
    let n = right.len();
    debug_assert_eq!(gram.len(), n * n, "a gram matrix is square");
    for i in 0..n {
        gram[i * n + i] += lambda;
    }
    // In place: the lower triangle becomes L with G = L·Lᵀ.
    for i in 0..n {
        for j in 0..=i {
            let mut sum = gram[i * n + j];
            for k in 0..j {
                sum -= gram[i * n + k] * gram[j * n + k];
            }
            if i == j {
                if !(sum.is_finite() && sum > 0.0) {
                    return None;
                }
                gram[i * n + i] = sum.sqrt();
            } else {
                gram[i * n + j] = sum / gram[j * n + j];
            }
        }
    }
    let mut solution = right.to_vec();
    for i in 0..n {
        let mut sum = solution[i];
        for k in 0..i {
            sum -= gram[i * n + k] * solution[k];
        }
        solution[i] = sum / gram[i * n + i];
    }
    for i in (0..n).rev() {
        let mut sum = solution[i];
        for k in i + 1..n {
            sum -= gram[k * n + i] * solution[k];
        }
        solution[i] = sum / gram[i * n + i];
    }
    solution.iter().all(|weight| weight.is_finite()).then_some(solution)
}

/// Σ a·b in f64, in four interleaved sums that the compiler can vectorise; the order is fixed.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [0.0f64; 4];
    let (a_four, a_rest) = a.as_chunks::<4>();
    let (b_four, b_rest) = b.as_chunks::<4>();
    for (x, y) in a_four.iter().zip(b_four) {
        for lane in 0..4 {
            sums[lane] += f64::from(x[lane]) * f64::from(y[lane]);
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_system_is_solved() {
        let mut gram = [4.0, 2.0, 2.0, 3.0];
        let solution = solve(&mut gram, &[10.0, 8.0], 0.0).unwrap();
        assert!((solution[0] - 1.75).abs() < 1e-12 && (solution[1] - 1.5).abs() < 1e-12);
    }

    #[test]
    fn a_singular_system_needs_the_ridge() {
        let singular = [1.0, 1.0, 1.0, 1.0];
        assert_eq!(solve(&mut singular.clone(), &[1.0, 1.0], 0.0), None);
        assert!(solve(&mut singular.clone(), &[1.0, 1.0], 0.1).is_some());
    }

    #[test]
    fn what_is_not_finite_has_no_solution() {
        assert_eq!(solve(&mut [f64::NAN], &[1.0], 1.0), None);
        assert_eq!(solve(&mut [1.0], &[f64::INFINITY], 1.0), None);
    }

    #[test]
    fn the_dot_product_takes_every_element() {
        let a: Vec<f32> = (0..11).map(|i| i as f32).collect();
        assert_eq!(dot(&a, &a), 385.0);
    }
}

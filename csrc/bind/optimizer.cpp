#include "optimizer/optimizer.h"

#include "bind/checks.h"
#include "optimizer/clip.h"
#include "optimizer/penalty.h"
#include "optimizer/ranges.h"

namespace fastconv::bind {
namespace {

// Pairs [begin, end), ascending and apart, in an array of `size` elements.
Ranges ranges_of(const py::array& pairs, int64_t size) {
  if (pairs.ndim() != 2 || pairs.shape(1) != 2)
    throw py::value_error("ranges: expected pairs, shape (n, 2). Received: shape " +
                          std::string(py::str(pairs.attr("shape"))));
  const Ranges ranges = {input<int64_t>(pairs, "ranges", pairs.size()), pairs.shape(0)};
  int64_t last = 0;
  for (int64_t i = 0; i < pairs.size(); last = ranges.bounds[i++])
    if (ranges.bounds[i] < last || ranges.bounds[i] > size)
      throw py::value_error("ranges: expected ascending pairs within " + std::to_string(size) +
                            " elements. Received: " + std::string(py::str(pairs)));
  return ranges;
}

float* scratch_of(const py::object& workspace, const char* op, size_t wanted) {
  const Workspace scratch(workspace);
  if (scratch.bytes < wanted)
    throw py::value_error(std::string(op) + ": expected " + std::to_string(wanted) +
                          " bytes of workspace. Received: " + std::to_string(scratch.bytes));
  return scratch.data;
}

}  // namespace

void register_optimizer(py::module_& m) {
  m.def(
      "adam_update",
      [](const py::array& w, const py::array& dw, const py::array& m, const py::array& v,
         const py::array& learning_rate, const py::array& step, double beta_1, double beta_2, double epsilon,
         const py::object& v_hat) {
        const int64_t count = w.size();
        float* w_data = output<float>(w, "w", count);
        const float* dw_data = input<float>(dw, "dw", count);
        float* m_data = output<float>(m, "m", count);
        float* v_data = output<float>(v, "v", count);
        float* v_hat_data = optional_output<float>(v_hat, "v_hat", count);
        const float rate = *input<float>(learning_rate, "learning_rate", 1);
        const int64_t step_value = *input<int64_t>(step, "step", 1);
        const py::gil_scoped_release unlock;
        adam_update(w_data, dw_data, m_data, v_data, v_hat_data, count, rate, step_value, beta_1, beta_2, epsilon);
      },
      py::arg("w"), py::arg("dw"), py::arg("m"), py::arg("v"), py::arg("learning_rate"), py::arg("step"),
      py::arg("beta_1"), py::arg("beta_2"), py::arg("epsilon"), py::arg("v_hat") = py::none());
  m.def(
      "sgd_update",
      [](const py::array& w, const py::array& dw, const py::object& velocity, const py::array& learning_rate,
         float momentum, bool nesterov) {
        const int64_t count = w.size();
        float* w_data = output<float>(w, "w", count);
        const float* dw_data = input<float>(dw, "dw", count);
        float* velocity_data = optional_output<float>(velocity, "velocity", count);
        const float rate = *input<float>(learning_rate, "learning_rate", 1);
        const py::gil_scoped_release unlock;
        sgd_update(w_data, dw_data, velocity_data, count, rate, momentum, nesterov);
      },
      py::arg("w"), py::arg("dw"), py::arg("velocity"), py::arg("learning_rate"), py::arg("momentum"),
      py::arg("nesterov"));
  m.def(
      "rmsprop_update",
      [](const py::array& w, const py::array& dw, const py::array& velocity, const py::object& average,
         const py::object& momentum_buffer, const py::array& learning_rate, double rho, double momentum,
         double epsilon) {
        const int64_t count = w.size();
        float* w_data = output<float>(w, "w", count);
        const float* dw_data = input<float>(dw, "dw", count);
        float* velocity_data = output<float>(velocity, "velocity", count);
        float* average_data = optional_output<float>(average, "average", count);
        float* buffer_data = optional_output<float>(momentum_buffer, "momentum_buffer", count);
        const float rate = *input<float>(learning_rate, "learning_rate", 1);
        const py::gil_scoped_release unlock;
        rmsprop_update(w_data, dw_data, velocity_data, average_data, buffer_data, count, rate, rho, momentum, epsilon);
      },
      py::arg("w"), py::arg("dw"), py::arg("velocity"), py::arg("average"), py::arg("momentum_buffer"),
      py::arg("learning_rate"), py::arg("rho"), py::arg("momentum"), py::arg("epsilon"));
  m.def(
      "decay_weights",
      [](const py::array& w, const py::array& ranges, const py::array& learning_rate, double rate) {
        float* w_data = output<float>(w, "w", w.size());
        const Ranges pairs = ranges_of(ranges, w.size());
        const float learning_rate_value = *input<float>(learning_rate, "learning_rate", 1);
        const py::gil_scoped_release unlock;
        decay_weights(w_data, pairs, learning_rate_value, rate);
      },
      py::arg("w"), py::arg("ranges"), py::arg("learning_rate"), py::arg("rate"));
  m.def(
      "ema_update",
      [](const py::array& average, const py::array& w, const py::array& step, double momentum,
         int64_t overwrite_every) {
        const int64_t count = w.size();
        float* average_data = output<float>(average, "average", count);
        float* w_data = output<float>(w, "w", count);
        const int64_t step_value = *input<int64_t>(step, "step", 1);
        const py::gil_scoped_release unlock;
        ema_update(average_data, w_data, count, step_value, momentum, overwrite_every);
      },
      py::arg("average"), py::arg("w"), py::arg("step"), py::arg("momentum"), py::arg("overwrite_every"));
  m.def("clip_by_norm_workspace_bytes", &clip_by_norm_workspace_bytes, py::arg("size"), py::arg("ranges"));
  m.def(
      "clip_by_norm",
      [](const py::array& dw, const py::array& ranges, float norm, const py::object& workspace) {
        float* dw_data = output<float>(dw, "dw", dw.size());
        const Ranges pairs = ranges_of(ranges, dw.size());
        float* scratch = scratch_of(workspace, "clip_by_norm", clip_by_norm_workspace_bytes(dw.size(), pairs.count));
        const py::gil_scoped_release unlock;
        clip_by_norm(dw_data, pairs, norm, scratch);
      },
      py::arg("dw"), py::arg("ranges"), py::arg("norm"), py::arg("workspace"));
  m.def(
      "clip_by_value",
      [](const py::array& dw, float limit) {
        float* dw_data = output<float>(dw, "dw", dw.size());
        const int64_t count = dw.size();
        const py::gil_scoped_release unlock;
        clip_by_value(dw_data, count, limit);
      },
      py::arg("dw"), py::arg("limit"));
  m.def("penalty_workspace_bytes", &penalty_workspace_bytes, py::arg("size"), py::arg("ranges"));
  m.def(
      "penalty",
      [](const py::array& w, const py::object& dw, const py::array& ranges, const py::array& rates,
         const py::array& totals, int64_t samples, const py::object& workspace) {
        const float* w_data = input<float>(w, "w", w.size());
        float* dw_data = optional_output<float>(dw, "dw", w.size());
        const Ranges pairs = ranges_of(ranges, w.size());
        const float* rates_data = input<float>(rates, "rates", 3 * pairs.count);
        double* total = output<double>(totals, "totals", 1);
        float* scratch = scratch_of(workspace, "penalty", penalty_workspace_bytes(w.size(), pairs.count));
        const py::gil_scoped_release unlock;
        penalty(w_data, dw_data, pairs, rates_data, samples, total, scratch);
      },
      py::arg("w"), py::arg("dw"), py::arg("ranges"), py::arg("rates"), py::arg("totals"), py::arg("samples"),
      py::arg("workspace"));
}

}  // namespace fastconv::bind

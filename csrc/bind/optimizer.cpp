#include "optimizer/optimizer.h"

#include "bind/checks.h"

namespace fastconv::bind {

void register_optimizer(py::module_& m) {
  m.def(
      "adam_update",
      [](const py::array& w, const py::array& dw, const py::array& m, const py::array& v,
         const py::array& learning_rate, const py::array& step, double beta_1, double beta_2, double epsilon) {
        const int64_t count = w.size();
        float* w_data = output<float>(w, "w", count);
        const float* dw_data = input<float>(dw, "dw", count);
        float* m_data = output<float>(m, "m", count);
        float* v_data = output<float>(v, "v", count);
        const float rate = *input<float>(learning_rate, "learning_rate", 1);
        const int64_t step_value = *input<int64_t>(step, "step", 1);
        const py::gil_scoped_release unlock;
        adam_update(w_data, dw_data, m_data, v_data, count, rate, step_value, beta_1, beta_2, epsilon);
      },
      py::arg("w"), py::arg("dw"), py::arg("m"), py::arg("v"), py::arg("learning_rate"), py::arg("step"),
      py::arg("beta_1"), py::arg("beta_2"), py::arg("epsilon"));
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
}

}  // namespace fastconv::bind

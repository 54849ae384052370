#include "optimizer/optimizer.h"

#include "bind/cuda/pointers.h"

namespace fastconv::bind {

void register_cuda_optimizer(py::module_& m) {
  m.def(
      "adam_update",
      [](Address w, Address dw, Address m, Address v, int64_t count, Address learning_rate, Address step, double beta_1,
         double beta_2, double epsilon, Address stream) {
        cuda::adam_update(at<float>(w), at<const float>(dw), at<float>(m), at<float>(v), count,
                          at<const float>(learning_rate), at<const int64_t>(step), beta_1, beta_2, epsilon,
                          stream_at(stream));
      },
      py::arg("w"), py::arg("dw"), py::arg("m"), py::arg("v"), py::arg("count"), py::arg("learning_rate"),
      py::arg("step"), py::arg("beta_1"), py::arg("beta_2"), py::arg("epsilon"), py::arg("stream"));
  m.def(
      "sgd_update",
      [](Address w, Address dw, Address velocity, int64_t count, Address learning_rate, float momentum, bool nesterov,
         Address stream) {
        cuda::sgd_update(at<float>(w), at<const float>(dw), at<float>(velocity), count, at<const float>(learning_rate),
                         momentum, nesterov, stream_at(stream));
      },
      py::arg("w"), py::arg("dw"), py::arg("velocity"), py::arg("count"), py::arg("learning_rate"), py::arg("momentum"),
      py::arg("nesterov"), py::arg("stream"));
}

}  // namespace fastconv::bind

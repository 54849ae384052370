#include "optimizer/optimizer.h"

#include "bind/cuda/pointers.h"
#include "optimizer/clip.h"
#include "optimizer/penalty.h"

namespace fastconv::bind {

void register_cuda_optimizer(py::module_& m) {
  m.def(
      "adam_update",
      [](Address w, Address dw, Address m, Address v, Address v_hat, int64_t count, Address learning_rate, Address step,
         double beta_1, double beta_2, double epsilon, Address stream) {
        cuda::adam_update(at<float>(w), at<const float>(dw), at<float>(m), at<float>(v), at<float>(v_hat), count,
                          at<const float>(learning_rate), at<const int64_t>(step), beta_1, beta_2, epsilon,
                          stream_at(stream));
      },
      py::arg("w"), py::arg("dw"), py::arg("m"), py::arg("v"), py::arg("v_hat"), py::arg("count"),
      py::arg("learning_rate"), py::arg("step"), py::arg("beta_1"), py::arg("beta_2"), py::arg("epsilon"),
      py::arg("stream"));
  m.def(
      "sgd_update",
      [](Address w, Address dw, Address velocity, int64_t count, Address learning_rate, float momentum, bool nesterov,
         Address stream) {
        cuda::sgd_update(at<float>(w), at<const float>(dw), at<float>(velocity), count, at<const float>(learning_rate),
                         momentum, nesterov, stream_at(stream));
      },
      py::arg("w"), py::arg("dw"), py::arg("velocity"), py::arg("count"), py::arg("learning_rate"), py::arg("momentum"),
      py::arg("nesterov"), py::arg("stream"));
  m.def(
      "rmsprop_update",
      [](Address w, Address dw, Address velocity, Address average, Address momentum_buffer, int64_t count,
         Address learning_rate, double rho, double momentum, double epsilon, Address stream) {
        cuda::rmsprop_update(at<float>(w), at<const float>(dw), at<float>(velocity), at<float>(average),
                             at<float>(momentum_buffer), count, at<const float>(learning_rate), rho, momentum, epsilon,
                             stream_at(stream));
      },
      py::arg("w"), py::arg("dw"), py::arg("velocity"), py::arg("average"), py::arg("momentum_buffer"),
      py::arg("count"), py::arg("learning_rate"), py::arg("rho"), py::arg("momentum"), py::arg("epsilon"),
      py::arg("stream"));
  m.def(
      "decay_weights",
      [](Address w, int64_t size, Address bounds, int64_t ranges, Address learning_rate, double rate, Address stream) {
        cuda::decay_weights(at<float>(w), size, at<const int64_t>(bounds), ranges, at<const float>(learning_rate), rate,
                            stream_at(stream));
      },
      py::arg("w"), py::arg("size"), py::arg("bounds"), py::arg("ranges"), py::arg("learning_rate"), py::arg("rate"),
      py::arg("stream"));
  m.def(
      "ema_update",
      [](Address average, Address w, int64_t count, Address step, double momentum, int64_t overwrite_every,
         Address stream) {
        cuda::ema_update(at<float>(average), at<float>(w), count, at<const int64_t>(step), momentum, overwrite_every,
                         stream_at(stream));
      },
      py::arg("average"), py::arg("w"), py::arg("count"), py::arg("step"), py::arg("momentum"),
      py::arg("overwrite_every"), py::arg("stream"));
  m.def("clip_by_norm_workspace_bytes", &cuda::clip_by_norm_workspace_bytes, py::arg("ranges"));
  m.def(
      "clip_by_norm",
      [](Address dw, int64_t size, Address bounds, int64_t ranges, float norm, Address workspace, Address stream) {
        cuda::clip_by_norm(at<float>(dw), size, at<const int64_t>(bounds), ranges, norm, at<float>(workspace),
                           stream_at(stream));
      },
      py::arg("dw"), py::arg("size"), py::arg("bounds"), py::arg("ranges"), py::arg("norm"), py::arg("workspace"),
      py::arg("stream"));
  m.def(
      "clip_by_value",
      [](Address dw, int64_t count, float limit, Address stream) {
        cuda::clip_by_value(at<float>(dw), count, limit, stream_at(stream));
      },
      py::arg("dw"), py::arg("count"), py::arg("limit"), py::arg("stream"));
  m.def("penalty_workspace_bytes", &cuda::penalty_workspace_bytes, py::arg("ranges"));
  m.def(
      "penalty",
      [](Address w, Address dw, int64_t size, Address bounds, Address rates, int64_t ranges, int64_t samples,
         Address total, Address workspace, Address stream) {
        cuda::penalty(at<const float>(w), at<float>(dw), size, at<const int64_t>(bounds), at<const float>(rates),
                      ranges, samples, at<double>(total), at<float>(workspace), stream_at(stream));
      },
      py::arg("w"), py::arg("dw"), py::arg("size"), py::arg("bounds"), py::arg("rates"), py::arg("ranges"),
      py::arg("samples"), py::arg("total"), py::arg("workspace"), py::arg("stream"));
}

}  // namespace fastconv::bind

// The module fastconv._cuda and, with the same kernels on the host, fastconv._emulator.
#include <pybind11/pybind11.h>

namespace fastconv::bind {

namespace py = pybind11;

void register_cuda_activation(py::module_& m);
void register_cuda_batch(py::module_& m);
void register_cuda_batchnorm(py::module_& m);
void register_cuda_dropout(py::module_& m);
void register_cuda_elementwise(py::module_& m);
void register_cuda_device(py::module_& m);
void register_cuda_conv2d(py::module_& m);
void register_cuda_leaky_relu(py::module_& m);
void register_cuda_binary(py::module_& m);
void register_cuda_sum(py::module_& m);
void register_cuda_copy_columns(py::module_& m);
void register_cuda_random_window(py::module_& m);
void register_cuda_optimizer(py::module_& m);
void register_cuda_layout(py::module_& m);
void register_cuda_depthwise_conv2d(py::module_& m);
void register_cuda_pool2d(py::module_& m);
void register_cuda_softmax_xent(py::module_& m);
void register_cuda_loss(py::module_& m);
void register_cuda_metrics(py::module_& m);
#ifdef FASTCONV_EMULATOR
void register_emulator(py::module_& m);
#endif

}  // namespace fastconv::bind

PYBIND11_MODULE(FASTCONV_CUDA_MODULE, m) {
  using namespace fastconv::bind;
  m.doc() = "CUDA kernels of fastconv, on addresses of device memory. fastconv.ops.cuda_ops checks the arrays.";
  register_cuda_activation(m);
  register_cuda_batch(m);
  register_cuda_batchnorm(m);
  register_cuda_dropout(m);
  register_cuda_elementwise(m);
  register_cuda_device(m);
  register_cuda_conv2d(m);
  register_cuda_leaky_relu(m);
  register_cuda_binary(m);
  register_cuda_sum(m);
  register_cuda_copy_columns(m);
  register_cuda_random_window(m);
  register_cuda_optimizer(m);
  register_cuda_layout(m);
  register_cuda_depthwise_conv2d(m);
  register_cuda_pool2d(m);
  register_cuda_softmax_xent(m);
  register_cuda_loss(m);
  register_cuda_metrics(m);
#ifdef FASTCONV_EMULATOR
  register_emulator(m);
#endif
}
